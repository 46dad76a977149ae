-- @include again
-- @include park
-- @include children
-- @include flush
-- Stops or revives the children of a parent, a bounded step.
local SWEEP_FIELDS = {
    "kind", "state", "parent", "priority", "group", "unique", "fence",
}

-- A running child is only told; its pod hears it at its next renewal, and
-- whatever becomes of it then, it does not come back.
local function stop_child(rec, now)
    if rec.state == "running" then
        return call("HSET", rec.key, "cancel_requested", 1)
    end
    if rec.state == "scheduled" then
        call("ZREM", scheduled, rec.id)
    elseif not unpark(rec.id, rec.kind) then
        depth_add({[rec.kind] = 1}, -1)
    end
    end_stopped(rec, now, "ready")
end

local function revive_child(rec, now)
    call("ZREM", dead, rec.id)
    begin_again(rec)
    call("HSET", rec.key, "ready_ms", now)
    tally_move(rec.parent, "dead", "ready")
    return {rec.id, rec.priority or 5, rec.group or "-", rec.kind}
end

local SWEEP_STEP = 50

-- Looks at the open children from number `from` on, SWEEP_STEP at most.  `verb` is
-- "stop" (those that have not ended) or "revive" (those that are dead).
-- Returns where to go on (-1 at the end) and how many were changed.
local function sweep_step(parent, planned, from, verb, now)
    local open, next_from = open_chunks(base .. "bits:" .. parent, planned,
                                        from, 4000)
    if #open > SWEEP_STEP then
        next_from = open[SWEEP_STEP + 1]
    end
    local recs, n, back = {}, 0, {}
    for i = 1, math.min(#open, SWEEP_STEP) do
        recs[i] = read(job_key(parent .. "." .. open[i]), SWEEP_FIELDS)
    end
    for _, rec in ipairs(recs) do
        if rec.kind and verb == "stop" and rec.state ~= "dead" and
           rec.state ~= "done" then
            stop_child(rec, now)
            n = n + 1
        elseif rec.kind and verb == "revive" and rec.state == "dead" then
            back[#back + 1] = revive_child(rec, now)
            n = n + 1
        end
    end
    if #back > 0 then
        push_ready(back)
        wake_one()
    end
    return next_from, n
end

-- A step of a batch that is being stopped or revived; the place to go on from
-- stands in its tally.  One pass is enough: what a stopped batch's children do
-- later ends them, and a revived batch can end once the pass is over.
local function sweep_batch(tally, now)
    local from = set_default(call("HGET", tally.key, "swept_to"), 0)
    local next_from, n = sweep_step(tally.id, set_default(tally.planned, 0),
                                    from, tally.stopping and "stop" or
                                    "revive", now)
    if next_from >= 0 then
        call("HSET", tally.key, "swept_to", next_from)
        call("SADD", sweeps, tally.id)
        return n
    end
    call("SREM", sweeps, tally.id)
    call("HDEL", tally.key, "swept_to", "reviving")
    if tally.reviving then
        call("HSET", job_key(tally.id), "phase", tally.sealed and "sealed" or
             "open")
        tally.reviving = nil
    end
    return n
end
