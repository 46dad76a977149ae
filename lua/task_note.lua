#!lua flags=allow-oom
--[[
task_note: records how a periodic task went, for the leader.

KEYS[1]  epoch  string
KEYS[2]  task   hash
ARGV[1]  epoch
ARGV[2..] field, value, ...
Returns  {"ok"}  {"epoch", newer}
]]
local call = redis.call
local newer = tonumber(call("GET", KEYS[1])) or 0
if tonumber(ARGV[1]) < newer then
    return {"epoch", newer}
end
call("HSET", KEYS[2], unpack(ARGV, 2))
return {"ok"}
