#!lua flags=allow-oom
--[[
reap: takes back ended leases and those of a pod that is gone, and promotes
due jobs, for the leader.

KEYS     the queue's standing keys
KEYS[25] held   set  of the gone pod; absent: only ended leases
ARGV[1]  epoch
Returns  {"ok", more, n_reclaimed, n_dead, next_due_ms}  {"epoch", newer}
]]
-- @include queue
-- @include epoch
-- @include claim
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local LIMIT = 50
local now = now_ms()
local heard = hear(now)
local n, n_dead, more = reclaim_expired(now, heard, LIMIT)
local held = KEYS[STANDING + 1]
if held then
    local ids = call("SRANDMEMBER", held, LIMIT)
    -- Right after an outage a pod that seems gone may be on its way back.
    local costs_crash = now >= heard.quiet_end + heard.ttl
    local n_held, n_held_dead = reclaim(ids, now, costs_crash,
                                        string.sub(held, #base + 6))
    if #ids > 0 then
        call("SREM", held, unpack(ids))
    end
    n, n_dead = n + n_held, n_dead + n_held_dead
    more = more or #ids == LIMIT
end
local promoted = promote(now, LIMIT)
if promoted > 0 then
    wake_one()
end
more = more or promoted == LIMIT
tally_flush()
groups_flush()
return {
    "ok", more and 1 or 0, n, n_dead,
    next_due(now, heard, first_score(scheduled), first_score(leases)),
}
