-- @include end
-- @include ready
local AGAIN_FIELDS = {
    "kind", "state", "parent", "priority", "group", "plan", "phase", "fence",
    "unique", "unique_ttl_ms", "batch",
}

-- A batch that is done has nothing to run again.  A child begins anew with its
-- parent; alone only if it is dead, and its batch waits and is not being
-- stopped.
local function may_again(rec)
    if not rec.parent then
        return not (rec.batch and rec.state == "done")
    end
    tally_know(rec.parent)
    local tally = tallies[rec.parent]
    return tally and tally.batch and rec.state == "dead" and
           not tally.stopping and not tally.ended
end

-- A new life of an ended job: attempts and crashes are forgotten, cursor, sums
-- and the list of errors are kept.  What its last pod may still say about the
-- old life (a repeated finish) counts as said.
local function begin_again(rec)
    call("HDEL", rec.key, "state", "attempts", "crashes", "throttles",
         "finished_ms", "cancel_requested", "error", "result", "expires_ms",
         "due_ms")
    if rec.fence then
        call("HSET", rec.key, "settled", rec.fence)
    end
end

local function take_unique(rec)
    local key = base .. "unique:" .. rec.unique
    if call("SET", key, rec.id, "NX") and rec.unique_ttl_ms then
        call("PEXPIRE", key, rec.unique_ttl_ms)
    end
end

-- A batch cannot end before all its dead children have been looked at.
local function revive_batch(rec)
    local tally = base .. "tally:" .. rec.id
    call("HDEL", tally, "stopping", "stopped", "ended", "swept_to")
    if rec.batch then
        call("HSET", tally, "reviving", 1)
        call("SADD", base .. "sweeps", rec.id)
    end
end

-- Starts ended jobs anew.  A unique key is taken again where it is free.  A
-- parent waits again; its dead children are revived in steps (sweep.lua), or
-- by the leader's plan.
local function again(recs, now)
    local back = {}
    for _, rec in ipairs(recs) do
        call("ZREM", rec.state == "dead" and dead or done, rec.id)
        begin_again(rec)
        if rec.unique then
            take_unique(rec)
        end
        if rec.plan or rec.phase then
            call("HSET", rec.key, "state", "waiting", "phase",
                 (rec.plan or rec.batch) and "reviving" or "")
            call("ZADD", waiting, now, rec.id)
            revive_batch(rec)
        else
            call("HSET", rec.key, "ready_ms", now)
            tally_move(rec.parent, "dead", "ready")
            back[#back + 1] = {
                rec.id, rec.priority or 5, rec.group or "-", rec.kind,
            }
        end
    end
    if #back > 0 then
        push_ready(back)
        wake_one()
    end
end
