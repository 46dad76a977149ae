#!lua flags=no-writes
--[[
ds_get: reads documents of one shard by their ids.

KEYS[1]  meta   hash    epoch, state
KEYS[2]  docs   hash    id -> the document's bytes
ARGV[1]  epoch  of the caller's map
ARGV[2...]      ids, at most 3,000
Returns  {"ok", {document, ...}}  nil for an id that is not there;
         {"moved", epoch};  {"too_large", most_documents}
]]
local meta, docs = KEYS[1], KEYS[2]
local epoch = tonumber(ARGV[1])
local max_docs = 3000

-- @include shard
local refusal = shard_refusal(meta, epoch)
if refusal then
    return refusal
end
if #ARGV - 1 > max_docs then
    return {"too_large", max_docs}
end
if #ARGV == 1 then
    return {"ok", {}}
end
return {"ok", redis.call("HMGET", docs, unpack(ARGV, 2))}
