#!lua flags=no-writes
--[[
chunks: a page of a parent's chunks, in the order of their numbers.

KEYS     the queue's standing keys
KEYS[25] tally   hash    the parent's
KEYS[26] bits    bitmap  the parent's
ARGV[1]  parent  its id
ARGV[2]  from    first number
ARGV[3]  limit   at most 500
Returns  {"ok", next_from (-1 at the end), {n, {field, value, ...}, ...}}
         a done chunk has no record: its list is empty; so is that of a
         batch's child that was deleted or whose retention is over
]]
-- @include queue
-- @include children
local parent_id = ARGV[1]
local from, limit = tonumber(ARGV[2]), math.min(tonumber(ARGV[3]), 500)
local t = call("HMGET", KEYS[STANDING + 1], "planned", "batch")
local planned, is_batch = set_default(t[1], 0), t[2]
local open, next_from = open_chunks(KEYS[STANDING + 2], planned, from, limit)
local is_open, page = {}, {}
for _, n in ipairs(open) do
    is_open[n] = true
end
for n = from, (next_from < 0 and planned or next_from) - 1 do
    page[#page + 1] = n
    page[#page + 1] = (is_batch or is_open[n]) and
        call("HGETALL", job_key(parent_id .. "." .. n)) or {}
end
return {"ok", next_from, page}
