#!lua flags=allow-oom
--[[
resign: gives the leader's lease back, if it is still ours.

KEYS[1]  leader  hash
KEYS[2]  events  stream, of the fleet
ARGV[1]  id
Returns  {"ok"}  {"stale"}
]]
-- @include now
-- @include fleet_event
if redis.call("HGET", KEYS[1], "id") ~= ARGV[1] then
    return {"stale"}
end
redis.call("DEL", KEYS[1])
fleet_event(KEYS[2], now_ms(), "resigned", ARGV[1], "")
return {"ok"}
