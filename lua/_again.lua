-- @include end
-- @include ready
local AGAIN_FIELDS = {
    "kind", "state", "parent", "priority", "group", "plan", "phase", "fence",
    "unique",
}

-- A new life of an ended job: attempts and crashes are forgotten, cursor, sums
-- and the list of errors are kept.  What its last pod may still say about the
-- old life (a repeated finish) counts as said.
local function begin_again(rec)
    call("HDEL", rec.key, "state", "attempts", "crashes", "finished_ms",
         "cancel_requested", "error", "result", "expires_ms", "due_ms")
    if rec.fence then
        call("HSET", rec.key, "settled", rec.fence)
    end
end

-- Starts ended jobs anew.  A unique key is taken again where it is free.  A
-- parent waits again, for the leader to revive it.
local function again(recs, now)
    local back = {}
    for _, rec in ipairs(recs) do
        call("ZREM", rec.state == "dead" and dead or done, rec.id)
        begin_again(rec)
        if rec.unique then
            call("SET", base .. "unique:" .. rec.unique, rec.id, "NX")
        end
        if rec.plan or rec.phase then
            call("HSET", rec.key, "state", "waiting", "phase",
                 rec.plan and "reviving" or "")
            call("ZADD", waiting, now, rec.id)
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
