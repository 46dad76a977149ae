#!lua flags=allow-oom
--[[
cron_note: a schedule could not be carried out for now.
It is looked at again later, so that any number of broken ones never stand in
front of the others.

KEYS[1]  epoch     string
KEYS[2]  schedule  hash
KEYS[3]  crons     zset
ARGV[1]  epoch
ARGV[2]  name
ARGV[3]  again_ms  look again so long from now
ARGV[4]  text      why
Returns  {"ok"}  {"epoch", newer}  {"unknown"} there is no such schedule
]]
-- @include now
local call = redis.call
local schedule, crons, name = KEYS[2], KEYS[3], ARGV[2]
local newer = tonumber(call("GET", KEYS[1])) or 0
if tonumber(ARGV[1]) < newer then
    return {"epoch", newer}
end
local kind = call("TYPE", schedule).ok
if kind == "none" then
    call("ZREM", crons, name)
    return {"unknown"}
end
call("ZADD", crons, "XX", now_ms() + tonumber(ARGV[3]), name)
if kind == "hash" then
    call("HSET", schedule, "last_error", ARGV[4])
end
return {"ok"}
