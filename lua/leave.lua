#!lua flags=allow-oom
--[[
leave: takes a pod's records away, when it stops or is buried.

KEYS[1]  pods    zset
KEYS[2]  pod     hash
KEYS[3]  inbox   list
KEYS[4]  epoch   string  the leader's
KEYS[5..] per queue: members (zset), slots (hash)
ARGV[1]  pod
ARGV[2]  epoch         of the leader that buries it; 0: it leaves itself
ARGV[3]  heartbeat_ms  buried only if it has not beaten since
Returns  {"ok"}  {"epoch", newer}  {"alive", heartbeat_ms}
]]
local call = redis.call
local pod, epoch = ARGV[1], tonumber(ARGV[2])
if epoch > 0 then
    local newer = tonumber(call("GET", KEYS[4])) or 0
    if epoch < newer then
        return {"epoch", newer}
    end
    local beat = tonumber(call("ZSCORE", KEYS[1], pod))
    if beat and beat > tonumber(ARGV[3]) then
        return {"alive", beat}
    end
end
call("ZREM", KEYS[1], pod)
call("DEL", KEYS[2], KEYS[3])
for i = 5, #KEYS, 2 do
    call("ZREM", KEYS[i], pod)
    call("HDEL", KEYS[i + 1], pod)
end
return {"ok"}
