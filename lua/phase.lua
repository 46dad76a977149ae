#!lua flags=allow-oom
--[[
phase: moves a waiting parent to another phase, for the leader.

KEYS     the queue's standing keys
KEYS[25] parent  hash
ARGV[1]  epoch
ARGV[2]  phase
ARGV[3]  why     kept as its error, "" for none
Returns  {"ok"}  {"unknown"}  {"state", state}  {"epoch", newer}
]]
-- @include queue
-- @include epoch
local parent = KEYS[STANDING + 1]
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local p = call("HMGET", parent, "kind", "state")
if not p[1] then
    return {"unknown"}
end
if p[2] ~= "waiting" then
    return {"state", p[2] or "ready"}
end
call("HSET", parent, "phase", ARGV[2])
if ARGV[3] == "" then
    call("HDEL", parent, "error")
else
    call("HSET", parent, "error", ARGV[3])
end
return {"ok"}
