#!lua flags=allow-oom
--[[
reap: takes back ended leases and those of a pod that is gone, and promotes
due jobs, for the leader.

KEYS     the queue's standing keys
KEYS[24] held   set  of the gone pod; absent: only ended leases
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
local LIMIT = 100
local now = now_ms()
local heard = hear(now)
local n, n_dead = reclaim_expired(now, heard, LIMIT)
local more = n == LIMIT
if KEYS[STANDING + 1] then
    local ids = call("SRANDMEMBER", KEYS[STANDING + 1], LIMIT)
    if #ids > 0 then
        n_dead = n_dead + reclaim(ids, now, true)
        call("SREM", KEYS[STANDING + 1], unpack(ids))
    end
    n, more = n + #ids, more or #ids == LIMIT
end
local promoted = promote(now, LIMIT)
if promoted > 0 then
    wake_one()
end
more = more or promoted == LIMIT
tally_flush()
return {"ok", more and 1 or 0, n, n_dead, next_due(now, heard)}
