#!lua flags=allow-oom
--[[
beat: a pod says that it lives, what it does, and learns its shares.

KEYS[1]  pods    zset
KEYS[2]  pod     hash, expires
KEYS[3]  inbox   list, expires
KEYS[4]  leader  hash, expires
KEYS[5..] per queue: members (zset), slots (hash)
ARGV[1]  pod
ARGV[2]  gone_after_ms  members older than that are gone
ARGV[3]  draining  1: it takes no jobs any more
ARGV[4..] field, value, ...: the pod's hash
Returns  {"ok", now_ms, {assigned, pods, ...}}  per queue: this pod's share,
         -1 where the leader has assigned it none yet or there is no leader,
         and how many live pods declare the queue
]]
-- @include now
local call = redis.call
local pods, pod_key, inbox = KEYS[1], KEYS[2], KEYS[3]
local pod, gone_after_ms, draining = ARGV[1], tonumber(ARGV[2]), ARGV[3] == "1"
local now = now_ms()
call("ZADD", pods, now, pod)
call("HSET", pod_key, "heartbeat_ms", now, unpack(ARGV, 4))
-- The leader buries what is gone; these are for a fleet without one.
call("PEXPIRE", pod_key, gone_after_ms * 10)
call("PEXPIRE", inbox, gone_after_ms * 10)
-- What a leader that is gone has assigned may be nothing, while the pod that
-- had it all is gone as well.
local has_leader = call("EXISTS", KEYS[4]) == 1
local shares = {}
for i = 5, #KEYS, 2 do
    local members, slots = KEYS[i], KEYS[i + 1]
    call("ZREMRANGEBYSCORE", members, "-inf", now - gone_after_ms)
    if draining then
        call("ZREM", members, pod)
    else
        call("ZADD", members, now, pod)
    end
    shares[#shares + 1] =
        has_leader and tonumber(call("HGET", slots, pod)) or -1
    shares[#shares + 1] = call("ZCARD", members)
end
return {"ok", now, shares}
