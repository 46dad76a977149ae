#!lua flags=allow-oom
--[[
resign: gives the leader's lease back, if it is still ours.

KEYS[1]  leader  hash
ARGV[1]  id
Returns  {"ok"}  {"stale"}
]]
if redis.call("HGET", KEYS[1], "id") ~= ARGV[1] then
    return {"stale"}
end
redis.call("DEL", KEYS[1])
return {"ok"}
