#!lua flags=allow-oom
--[[
limit_drain: a target said "too much": the bucket is empty, nothing is refilled
for a while, and what was reserved before is void.  A block is never
shortened by another.

KEYS[1]  limit   hash
ARGV[1]  for_ms  0: empties it only
Returns  {"ok", blocked_until_ms (0: not blocked)}  {"unknown"}
         {"broken", field}
]]
-- @include limit
local now = now_ms()
local b, broken = open_bucket(KEYS[1], now)
if not b then
    return no_bucket(broken)
end
local for_ms = math.min(tonumber(ARGV[1]), BLOCK_MAX_MS)
b.blocked = math.max(b.blocked, now + for_ms)
if b.blocked > now then
    b.at = b.blocked
end
b.tokens = 0
save(b, "blocked_until_ms", string.format("%.0f", b.blocked), "drained",
     b.drained + 1)
return {"ok", b.blocked > now and b.blocked or 0}
