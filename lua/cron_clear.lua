#!lua flags=allow-oom
--[[
cron_clear: the job of a pending slot is in its queue.

KEYS[1]  epoch     string
KEYS[2]  schedule  hash
KEYS[3]  crons     zset
ARGV[1]  epoch
ARGV[2]  name
ARGV[3]  id        of that job
Returns  {"ok"}  {"epoch", newer}  {"unknown"}
         {"changed"}  something else is pending, or nothing
]]
-- @include now
local call = redis.call
local schedule, crons, name = KEYS[2], KEYS[3], ARGV[2]
local newer = tonumber(call("GET", KEYS[1])) or 0
if tonumber(ARGV[1]) < newer then
    return {"epoch", newer}
end
local h = call("HMGET", schedule, "version", "pending_id", "pending_slot_ms",
               "pending_queue", "enabled", "next_ms")
if not h[1] then
    return {"unknown"}
end
if h[2] ~= ARGV[3] then
    return {"changed"}
end
call("HSET", schedule, "last_slot_ms", h[3], "last_id", h[2], "last_queue",
     h[4], "last_fired_ms", now_ms())
call("HINCRBY", schedule, "fired", 1)
call("HDEL", schedule, "pending_slot_ms", "pending_id", "pending_queue",
     "last_error")
call("ZADD", crons, h[5] == "1" and (h[6] or "0") or "inf", name)
return {"ok"}
