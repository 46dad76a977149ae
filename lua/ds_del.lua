#!lua flags=allow-oom
--[[
ds_del: deletes documents of one shard by their ids.

KEYS[1]  meta   hash    epoch, state
KEYS[2]  docs   hash    id -> the document's bytes
ARGV[1]  epoch  of the caller's map
ARGV[2...]      ids, at most 3,000
Returns  {"ok", n_deleted};  {"moved", epoch};  {"too_large", most_documents}
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
    return {"ok", 0}
end
return {"ok", redis.call("HDEL", docs, unpack(ARGV, 2))}
