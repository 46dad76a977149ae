#!lua flags=allow-oom
--[[
limit_remove: forgets a limit.

KEYS[1]  limit   hash
KEYS[2]  limits  set   all scopes
ARGV[1]  scope
Returns  {"ok"}  {"unknown"}
]]
local n = redis.call("DEL", KEYS[1]) + redis.call("SREM", KEYS[2], ARGV[1])
return {n > 0 and "ok" or "unknown"}
