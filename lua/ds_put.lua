#!lua
--[[
ds_put: writes documents into one shard, new or in place of what has their id.
A batch of an import shows its chunk's fence: a worker that was frozen, and whose
chunk somebody else has claimed since, can write nothing any more.  Repeating
a batch is harmless.

KEYS[1]  meta    hash    epoch, state
KEYS[2]  docs    hash    id -> the document's bytes
KEYS[3]  fence   hash    chunk -> newest fence; closed: the import has ended
ARGV[1]  epoch   of the caller's map
ARGV[2]  import  the parent's id; "" for a write outside imports: no fence
ARGV[3]  chunk   its number
ARGV[4]  fence   of the caller's lease on the chunk
ARGV[5...]       id, document, id, document ...: at most 3,000 documents, and
                 4 MiB unless it is one alone
Returns  {"ok", n_new};  {"moved", epoch}  reload the map (0: no such shard);
         {"stale", fence}  somebody else has the chunk;  {"closed"};
         {"too_large", most_documents, most_bytes}
]]
local meta, docs, fences = KEYS[1], KEYS[2], KEYS[3]
local epoch, import, chunk = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local fence = tonumber(ARGV[4])
local first, max_docs, max_bytes = 5, 3000, 4194304
local fence_ttl_ms = 604800000 -- 7 days, should nobody close the import

-- @include shard
local function is_too_large()
    local n_docs, bytes = (#ARGV - first + 1) / 2, 0
    if n_docs > max_docs then
        return true
    end
    if n_docs > 1 then
        for i = first, #ARGV do
            bytes = bytes + #ARGV[i]
        end
    end
    return bytes > max_bytes
end

local refusal = shard_refusal(meta, epoch)
if refusal then
    return refusal
end
if is_too_large() then
    return {"too_large", max_docs, max_bytes}
end
if import ~= "" then
    local seen = redis.call("HMGET", fences, chunk, "closed")
    if seen[2] then
        return {"closed"}
    end
    local newest = tonumber(seen[1] or "0")
    if newest > fence then
        return {"stale", newest}
    end
    if newest < fence then
        redis.call("HSET", fences, chunk, ARGV[4])
        redis.call("PEXPIRE", fences, fence_ttl_ms)
    end
end
if #ARGV < first then
    return {"ok", 0}
end
return {"ok", redis.call("HSET", docs, unpack(ARGV, first))}
