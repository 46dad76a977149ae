-- @include end
-- @include ready
local RECLAIM_FIELDS = {
    "state", "pod", "kind", "parent", "priority", "group", "attempts",
    "crashes", "cancel_requested", "unique",
}

-- Takes running jobs away from pods that no longer keep them.  An ended lease
-- gives the attempt back and costs a crash, unless it ended in an outage;
-- crash_limit crashes without a move of the cursor in between end as dead.
-- The fence stays, so that the pod is still heard until someone else claims.
-- `of` names the pod whose leases are taken, whatever their end.  Returns how
-- many were taken, and how many of them are dead now.
local function reclaim(ids, now, costs_crash, of)
    local limit = set_default(call("HGET", cfg, "crash_limit"), 3)
    local recs, back = {}, {}
    for _, id in ipairs(ids) do
        local rec = read(job_key(id), RECLAIM_FIELDS)
        tally_know(rec.parent)
        recs[#recs + 1] = rec
    end
    local n, n_dead = 0, 0
    for _, rec in ipairs(recs) do
        local is_theirs = not of or rec.pod == of
        if is_theirs then
            call("ZREM", leases, rec.id)
        end
        if is_theirs and rec.pod then
            call("SREM", base .. "held:" .. rec.pod, rec.id)
        end
        if is_theirs and rec.state == "running" then
            n = n + 1
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
    if n > 0 then
        call("HINCRBY", stats, "reclaimed", n)
    end
    return n, n_dead
end

-- Ended leases, at most `limit`, once an outage is long enough ago.  Returns
-- what reclaim() does, and whether there may be more.
local function reclaim_expired(now, heard, limit)
    if now < heard.quiet_end + heard.ttl then
        return 0, 0, false
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
    local n, n_dead = reclaim(gentle, now, false)
    local n_more, n_more_dead = reclaim(crashed, now, true)
    return n + n_more, n_dead + n_more_dead, #found == 2 * limit
end
