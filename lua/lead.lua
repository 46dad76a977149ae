#!lua flags=allow-oom
--[[
lead: takes the leader's lease if it is free, renews it if it is ours.
Each new term has an epoch that never goes back: max(last + 1, now).

KEYS[1]  leader  hash, expires
KEYS[2]  epoch   string, never expires
KEYS[3]  events  stream, of the fleet
ARGV[1]  id      of this coordinator, fresh at each start
ARGV[2]  ttl_ms
ARGV[3]  host
ARGV[4]  pid
ARGV[5]  url     of its HTTP server, "" for none
Returns  {"leader", epoch, id, left_ms}  {"standby", epoch, leader, left_ms}
]]
-- @include now
-- @include fleet_event
local call = redis.call
local leader, epoch_key, events = KEYS[1], KEYS[2], KEYS[3]
local id, ttl_ms = ARGV[1], tonumber(ARGV[2])
local l = call("HMGET", leader, "id", "epoch")
if l[1] and l[1] ~= id then
    return {"standby", tonumber(l[2]) or 0, l[1], call("PTTL", leader)}
end
local last = tonumber(call("GET", epoch_key)) or 0
local epoch = tonumber(l[2])
if epoch and epoch < last then
    return {"standby", last, "", call("PTTL", leader)} -- somebody led after us
end
if not epoch then
    local now = now_ms()
    epoch = math.max(last + 1, now)
    call("SET", epoch_key, string.format("%.0f", epoch))
    call("HSET", leader, "id", id, "epoch", string.format("%.0f", epoch),
         "since_ms", now, "url", ARGV[5], "host", ARGV[3], "pid", ARGV[4])
    fleet_event(events, now, "leader", id,
                "epoch " .. string.format("%.0f", epoch))
end
call("PEXPIRE", leader, ttl_ms)
return {"leader", epoch, id, ttl_ms}
