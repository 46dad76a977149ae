#!lua flags=allow-oom
--[[
inbox: leaves a message for a pod, if that pod lives.

KEYS[1]  pod    hash
KEYS[2]  inbox  list
ARGV[1]  message
Returns  {"ok"}  {"full"}  {"unknown"}
]]
local call = redis.call
if call("EXISTS", KEYS[1]) == 0 then
    return {"unknown"}
end
if call("LLEN", KEYS[2]) >= 64 then
    return {"full"}
end
call("RPUSH", KEYS[2], ARGV[1])
call("PEXPIRE", KEYS[2], 600000)
return {"ok"}
