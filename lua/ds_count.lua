#!lua flags=no-writes
--[[
ds_count: how many documents a shard holds.

KEYS[1]  meta   hash    epoch, state
KEYS[2]  docs   hash    id -> the document's bytes
ARGV[1]  epoch  of the caller's map
Returns  {"ok", n};  {"moved", epoch}
]]
local meta, docs = KEYS[1], KEYS[2]
local epoch = tonumber(ARGV[1])

-- @include shard
local refusal = shard_refusal(meta, epoch)
if refusal then
    return refusal
end
return {"ok", redis.call("HLEN", docs)}
