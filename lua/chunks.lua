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
         a done chunk has no record: its list is empty
]]
-- @include queue
-- @include children
local parent_id = ARGV[1]
local from, limit = tonumber(ARGV[2]), math.min(tonumber(ARGV[3]), 500)
local planned = set_default(call("HGET", KEYS[STANDING + 1], "planned"), 0)
local open, next_from = open_chunks(KEYS[STANDING + 2], planned, from, limit)
local is_open, page = {}, {}
for _, n in ipairs(open) do
    is_open[n] = true
end
for n = from, (next_from < 0 and planned or next_from) - 1 do
    page[#page + 1] = n
    page[#page + 1] = is_open[n] and
        call("HGETALL", job_key(parent_id .. "." .. n)) or {}
end
return {"ok", next_from, page}
