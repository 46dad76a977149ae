-- @include end
-- @include ready
local RECLAIM_FIELDS = {
    "state", "pod", "kind", "parent", "priority", "group", "attempts",
    "crashes", "cancel_requested", "unique", "errors",
}

-- Takes running jobs away from pods that no longer keep them.  An ended lease
-- gives the attempt back and costs a crash, unless it ended in an outage;
-- crash_limit crashes without a move of the cursor in between end as dead.
-- The fence stays, so that the pod is still heard until someone else claims.
local function reclaim(ids, now, costs_crash)
    local limit = set_default(call("HGET", cfg, "crash_limit"), 3)
    local recs, back = {}, {}
    for _, id in ipairs(ids) do
        local rec = read(job_key(id), RECLAIM_FIELDS)
        tally_know(rec.parent)
        recs[#recs + 1] = rec
    end
    local n_dead = 0
    for _, rec in ipairs(recs) do
        call("ZREM", leases, rec.id)
        if rec.pod then
            call("SREM", base .. "held:" .. rec.pod, rec.id)
        end
        if rec.state == "running" then
            local crashes = set_default(rec.crashes, 0)
            if costs_crash then
                crashes = crashes + 1
                call("HINCRBY", stats, "crashed", 1)
            end
            local attempts = math.max(0, set_default(rec.attempts, 0) - 1)
            call("HSET", rec.key, "attempts", attempts, "crashes", crashes)
            if rec.cancel_requested then
                end_dead(rec, now, "cancelled by user", "running")
                call("HINCRBY", stats, "cancelled", 1)
                n_dead = n_dead + 1
            elseif costs_crash and limit > 0 and crashes >= limit then
                end_dead(rec, now, "poison: " .. crashes ..
                         " leases ended without progress", "running")
                n_dead = n_dead + 1
            else
                call("HDEL", rec.key, "state")
                call("HSET", rec.key, "ready_ms", now)
                tally_move(rec.parent, "running", "ready")
                back[#back + 1] = {
                    rec.id, rec.priority or 5, rec.group or "-", rec.kind,
                }
            end
        end
    end
    if #back > 0 then
        push_ready(back, true)
        wake_one()
    end
    call("HINCRBY", stats, "reclaimed", #recs)
    return n_dead
end

-- Ended leases, at most `limit`, once an outage is long enough ago.
local function reclaim_expired(now, heard, limit)
    if now < heard.quiet_end + heard.ttl then
        return 0, 0
    end
    local found = call("ZRANGE", leases, "-inf", now, "BYSCORE", "LIMIT", 0,
                       limit, "WITHSCORES")
    local gentle, crashed = {}, {}
    for i = 1, #found, 2 do
        -- What ended before pods could speak again was nobody's fault.
        local of = tonumber(found[i + 1]) <= heard.quiet_end and gentle
                   or crashed
        of[#of + 1] = found[i]
    end
    local n_dead = 0
    if #gentle > 0 then
        n_dead = reclaim(gentle, now, false)
    end
    if #crashed > 0 then
        n_dead = n_dead + reclaim(crashed, now, true)
    end
    return #gentle + #crashed, n_dead
end
