#!lua flags=allow-oom
--[[
assign: replaces the shares of one queue, for the leader.

KEYS[1]  epoch  string
KEYS[2]  slots  hash  pod -> slots
ARGV[1]  epoch
ARGV[2..] pod, slots, ...
Returns  {"ok"}  {"epoch", newer}
]]
local call = redis.call
local newer = tonumber(call("GET", KEYS[1])) or 0
if tonumber(ARGV[1]) < newer then
    return {"epoch", newer}
end
call("DEL", KEYS[2])
if #ARGV > 1 then
    call("HSET", KEYS[2], unpack(ARGV, 2))
end
return {"ok"}
