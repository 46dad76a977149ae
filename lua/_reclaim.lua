-- @include end
-- @include ready
-- @include groups
local RECLAIM_FIELDS = {
    "state", "pod", "kind", "parent", "priority", "group", "attempts",
    "crashes", "cancel_requested", "unique", "fence",
}

-- One running job of reclaim(); true if it is dead now, else it is in `back`.
local function take_back(rec, now, crash_limit, back)
    local crashes = set_default(rec.crashes, 0)
    local attempts = math.max(0, set_default(rec.attempts, 0) - 1)
    group_add(rec.group, -1)
    if crash_limit then
        crashes = crashes + 1
        call("HINCRBY", stats, "crashed", 1)
    end
    call("HSET", rec.key, "attempts", attempts, "crashes", crashes)
    if not crash_limit and rec.fence then -- should its pod speak yet
        call("HSET", rec.key, "spared", rec.fence)
    end
    if is_stopping(rec.parent) then
        end_stopped(rec, now, "running")
        return true
    end
    if rec.cancel_requested then
        end_dead(rec, now, "cancelled by user", "running")
        call("HINCRBY", stats, "cancelled", 1)
        return true
    end
    if crash_limit and crash_limit > 0 and crashes >= crash_limit then
        end_dead(rec, now, "poison: " .. crashes ..
                 " leases ended without progress", "running")
        return true
    end
    call("HDEL", rec.key, "state")
    call("HSET", rec.key, "ready_ms", now)
    tally_move(rec.parent, "running", "ready")
    back[#back + 1] = {
        rec.id, rec.priority or 5, rec.group or "-", rec.kind,
    }
    return false
end

-- Takes running jobs away from pods that no longer keep them.  An ended lease
-- gives the attempt back and costs a crash, unless it ended in an outage;
-- crash_limit crashes without a move of the cursor in between end as dead.
-- The fence stays, so that the pod is still heard until someone else claims.
-- `of` names the pod whose leases are taken, whatever their end.  Returns how
-- many were taken, and how many of them are dead now.
local function reclaim(ids, now, costs_crash, of)
    local recs, back, n, n_dead = {}, {}, 0, 0
    local taken, held_by = {}, {}
    for i, id in ipairs(ids) do
        recs[i] = read(job_key(id), RECLAIM_FIELDS)
        tally_know(recs[i].parent)
    end
    if #recs == 0 then
        return 0, 0
    end
    local crash_limit = costs_crash and
        set_default(call("HGET", cfg, "crash_limit"), 3)
    for _, rec in ipairs(recs) do
        if not of or rec.pod == of then
            taken[#taken + 1] = rec.id
            if rec.pod then
                local held = held_by[rec.pod] or {}
                held_by[rec.pod] = held
                held[#held + 1] = rec.id
            end
            if rec.state == "running" then
                n = n + 1
                n_dead = n_dead +
                    (take_back(rec, now, crash_limit, back) and 1 or 0)
            end
        end
    end
    if #taken > 0 then
        call("ZREM", leases, unpack(taken))
    end
    for pod, held in pairs(held_by) do
        call("SREM", base .. "held:" .. pod, unpack(held))
    end
    if #back > 0 then
        push_ready(back, true)
    end
    if n > 0 then
        call("HINCRBY", stats, "reclaimed", n)
        wake_one() -- also where all are dead now: they leave room at the cap
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
