#!lua flags=allow-oom
--[[
cron_fire: takes a slot of a schedule, by compare-and-set.
From then on the slot is pending until its job is enqueued, whoever leads; and
nobody can take it again, because next_ms has moved on.

KEYS[1]  epoch     string
KEYS[2]  schedule  hash
KEYS[3]  crons     zset
ARGV[1]  epoch
ARGV[2]  name
ARGV[3]  version   that the leader has read
ARGV[4]  next_ms   that it has read
ARGV[5]  then_ms   what next_ms becomes
ARGV[6]  missed    slots that nobody will fire
ARGV[7]  skipped   1: a slot was passed over because a job is in flight
ARGV[8]  slot_ms   to fire, 0: none
ARGV[9]  id        of its job
ARGV[10] queue     of its job
Returns  {"ok"}  {"epoch", newer}  {"unknown"}
         {"changed"}  version or next_ms are others, or a slot is pending
]]
local call = redis.call
local schedule, crons, name = KEYS[2], KEYS[3], ARGV[2]
local newer = tonumber(call("GET", KEYS[1])) or 0
if tonumber(ARGV[1]) < newer then
    return {"epoch", newer}
end
local h = call("HMGET", schedule, "version", "next_ms", "pending_id", "enabled")
if not h[1] then
    return {"unknown"}
end
if h[1] ~= ARGV[3] or (h[2] or "0") ~= ARGV[4] or h[3] then
    return {"changed"}
end

local then_ms, missed, slot_ms = ARGV[5], tonumber(ARGV[6]), ARGV[8]
call("HSET", schedule, "next_ms", then_ms)
if missed > 0 then
    call("HINCRBY", schedule, "missed", missed)
end
if ARGV[7] == "1" then
    call("HINCRBY", schedule, "skipped", 1)
end
if slot_ms ~= "0" then
    call("HSET", schedule, "pending_slot_ms", slot_ms, "pending_id", ARGV[9],
         "pending_queue", ARGV[10])
    call("ZADD", crons, slot_ms, name)
else
    call("HDEL", schedule, "last_error")
    call("ZADD", crons, h[4] == "1" and then_ms or "inf", name)
end
return {"ok"}
