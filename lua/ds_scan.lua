#!lua flags=no-writes
--[[
ds_scan: one slice of a walk over all documents of a shard.
The cursor belongs to one server process: resumed after a restart it misses
documents without a word, so the caller compares run_id before and after.
What is there from the beginning to the end of the walk is answered at least
once, and twice at times when documents are deleted meanwhile.

KEYS[1]  meta    hash    epoch, state
KEYS[2]  docs    hash    id -> the document's bytes
ARGV[1]  epoch   of the caller's map
ARGV[2]  cursor  0 to begin, then what the last call answered
ARGV[3]  count   roughly how many documents to answer
Returns  {"ok", cursor, {id, document, ...}}  cursor "0" at the end;
         {"moved", epoch}
]]
local meta, docs = KEYS[1], KEYS[2]
local epoch, cursor, count = tonumber(ARGV[1]), ARGV[2], ARGV[3]

-- @include shard
local refusal = shard_refusal(meta, epoch)
if refusal then
    return refusal
end
local slice = redis.call("HSCAN", docs, cursor, "COUNT", count)
return {"ok", slice[1], slice[2]}
