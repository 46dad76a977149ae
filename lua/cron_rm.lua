#!lua flags=allow-oom
--[[
cron_rm: removes a schedule.  A job that it has fired stays.

KEYS[1]  schedule  hash
KEYS[2]  crons     zset
ARGV[1]  name
Returns  {"ok"}  {"unknown"}
]]
local call = redis.call
local gone = call("ZREM", KEYS[2], ARGV[1])
if call("DEL", KEYS[1]) + gone == 0 then
    return {"unknown"}
end
return {"ok"}
