-- @include end
-- @include ready
local AGAIN_FIELDS = {
    "kind", "state", "parent", "priority", "group", "plan", "phase", "own",
    "unique",
}

-- Starts ended jobs anew: attempts, crashes and errors are forgotten, cursor
-- and sums are kept.  A parent waits again, for the leader to revive it.
local function again(recs, now)
    local back = {}
    for _, rec in ipairs(recs) do
        call("ZREM", rec.state == "dead" and dead or done, rec.id)
        call("HDEL", rec.key, "state", "attempts", "crashes", "finished_ms",
             "cancel_requested", "settled", "error", "result", "expires_ms")
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
