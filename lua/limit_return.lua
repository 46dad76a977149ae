#!lua flags=allow-oom
--[[
limit_return: gives back tokens that were taken or reserved for what did not
begin after all.  A drain has forgotten those from before it.

KEYS[1]  limit    hash
ARGV[1]  n        tokens
ARGV[2]  drained  as the acquire answered it
Returns  {"ok"}  {"stale"}  {"unknown"}  {"broken", field}
]]
-- @include limit
local b, broken = open_bucket(KEYS[1], now_ms())
if not b then
    return no_bucket(broken)
end
if b.drained ~= tonumber(ARGV[2]) then
    return {"stale"}
end
local n = tonumber(ARGV[1])
b.tokens = math.min(b.capacity, b.tokens + n * NANO)
save(b, "returned", b.returned + n)
return {"ok"}
