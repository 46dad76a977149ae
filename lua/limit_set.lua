#!lua flags=allow-oom
--[[
limit_set: makes a limit or changes it; the next acquire sees it.  What was
refilled until now was refilled at the old rate.

KEYS[1]  limit   hash
KEYS[2]  limits  set   all scopes
ARGV[1]  scope
ARGV[2]  only_absent  1: a seed, which leaves alone what is there
ARGV[3..] field, value, ...: capacity, refill_per_second, tokens; setting
         tokens ends a block
Returns  {"ok"}  {"incomplete", field}  a new one needs both settings
         {"broken", field}  {"over", capacity} more tokens than it holds
]]
-- @include limit
local now, ask = now_ms(), {}
local had = call("HMGET", KEYS[1], "capacity", "refill_per_second")
for i = 3, #ARGV, 2 do
    ask[ARGV[i]] = ARGV[i + 1]
end
if ARGV[2] == "1" then
    ask.capacity = not had[1] and ask.capacity or nil
    ask.refill_per_second = not had[2] and ask.refill_per_second or nil
    ask.tokens = nil
end
for i, field in ipairs({"capacity", "refill_per_second"}) do
    if not ask[field] and not had[i] then
        return {"incomplete", field}
    end
end
local b = open_bucket(KEYS[1], now)
local capacity = parse_nano(ask.capacity or had[1])
local tokens = ask.tokens and parse_nano(ask.tokens)
if not capacity or capacity < NANO then
    return {"broken", "capacity"}
elseif not parse_nano(ask.refill_per_second or had[2]) then
    return {"broken", "refill_per_second"}
elseif ask.tokens and not tokens then
    return {"broken", "tokens"}
elseif tokens and tokens > capacity then
    return {"over", capacity / NANO}
end
call("SADD", KEYS[2], ARGV[1])
call("HSET", KEYS[1], "capacity", ask.capacity or had[1], "refill_per_second",
     ask.refill_per_second or had[2])
if tokens then
    call("HDEL", KEYS[1], "blocked_until_ms")
    call("HSET", KEYS[1], "tokens", format_nano(tokens), "at_ms", now)
elseif b then
    b.tokens = math.min(b.tokens, capacity)
    save(b)
else
    call("HSET", KEYS[1], "tokens", format_nano(capacity), "at_ms", now)
end
return {"ok"}
