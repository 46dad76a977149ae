#!lua
--[[
ds_open: creates a shard of a dataset, or stamps it with a newer epoch.
From then on every caller with an older epoch is sent to reload the map, so a
leader that stamped all shards knows that nobody acts on an old one any more.

KEYS[1]  meta   hash    epoch, state (open; what reshard adds comes here too)
ARGV[1]  epoch  of the leader that asks
Returns  {"ok"};  {"stale", epoch}  a newer leader was here
]]
local meta = KEYS[1]
local epoch = tonumber(ARGV[1])

local seen = redis.call("HGET", meta, "epoch")
if seen and tonumber(seen) > epoch then
    return {"stale", tonumber(seen)}
end
redis.call("HSETNX", meta, "state", "open")
redis.call("HSET", meta, "epoch", ARGV[1])
return {"ok"}
