#!lua flags=no-writes
--[[
limit_info: a limit as it stands now; changes nothing.

KEYS[1]  limit   hash
Returns  {"ok", capacity, refill_per_second, tokens, blocked_until_ms (0: not
         blocked), acquired, waited, refused, returned, drained}: the first
         three are decimal texts
         {"unknown"}  {"broken", field}
]]
-- @include limit
local now = now_ms()
local b, broken = open_bucket(KEYS[1], now)
if not b then
    return no_bucket(broken)
end
return {
    "ok", format_nano(b.capacity), format_nano(b.rate * 1000),
    format_nano(b.tokens), b.blocked > now and b.blocked or 0, b.acquired,
    b.waited, b.refused, b.returned, b.drained,
}
