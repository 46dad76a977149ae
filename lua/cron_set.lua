#!lua flags=allow-oom
--[[
cron_set: writes a schedule's definition, for operators and seeds.
What is pending stays so: that slot was taken before.

KEYS[1]  schedule  hash
KEYS[2]  crons     zset  schedules by the time they want to be looked at
ARGV[1]  name
ARGV[2]  version   that the caller has read, 0: there was none; "seed": only
                   what is absent is written
ARGV[3]  next_ms   0: the leader works it out
ARGV[4..] field, value, ...
Returns  {"ok", version}  {"changed", version}
]]
-- @include now
local call = redis.call
local schedule, crons = KEYS[1], KEYS[2]
local have = tonumber(call("HGET", schedule, "version")) or 0
local seed = ARGV[2] == "seed"
if not seed and have ~= tonumber(ARGV[2]) then
    return {"changed", have}
end

local new = 0
for i = 4, #ARGV, 2 do
    if seed then
        new = new + call("HSETNX", schedule, ARGV[i], ARGV[i + 1])
    else
        call("HSET", schedule, ARGV[i], ARGV[i + 1])
    end
end
call("HSETNX", schedule, "created_ms", now_ms())
if seed and new == 0 and have > 0 then
    call("ZADD", crons, "NX", 0, ARGV[1]) -- should it have got lost
    return {"ok", have}
end
call("HSET", schedule, "version", have + 1, "next_ms", ARGV[3])
call("HDEL", schedule, "last_error")
local h = call("HMGET", schedule, "enabled", "pending_slot_ms")
call("ZADD", crons, h[2] or h[1] == "1" and ARGV[3] or "inf", ARGV[1])
return {"ok", have + 1}
