#!lua flags=allow-oom
--[[
limit_acquire: takes tokens from a bucket, or reserves those to come.
A caller asks for units of `n` tokens each, as many as it has jobs to start.
What is there is taken; what will be there within `max_wait_ms` is promised,
first come, first served: the bucket goes below zero, and the caller begins
when its wait is over.  So waiting costs one call, and those who wait do not
come back all at once.  A reservation holds while `drained` is what it was.

KEYS[1]  limit        hash
ARGV[1]  n            tokens of one unit, 1 or more
ARGV[2]  units        most units, 1 to 256
ARGV[3]  max_wait_ms  0: only what is there
Returns  {"ok", drained, {wait_ms, ...}, next_ms}  a wait for each unit, 0 for
         one that may begin at once
         {"wait", drained, {}, next_ms}  nothing was taken
         next_ms: until the first unit that was not given would be there; 0:
         all were given; -1: never by itself
         {"unknown"}  no such limit
         {"over", capacity}  a unit is more than the bucket holds
         {"broken", field}  somebody wrote what is no number
]]
-- @include limit
local n, max_wait = tonumber(ARGV[1]) * NANO, tonumber(ARGV[3])
local units = math.min(tonumber(ARGV[2]), 256)
local now = now_ms()
local b, broken = open_bucket(KEYS[1], now)
if not b then
    return no_bucket(broken)
end
if n > b.capacity then
    return {"over", b.capacity / NANO}
end

local waits, n_waited, next_ms = {}, 0, 0
while #waits < units do
    local wait = wait_for(b, n, now)
    if not wait or wait > max_wait or b.tokens - n < -MAX then
        next_ms = wait or -1
        break
    end
    b.tokens = b.tokens - n
    waits[#waits + 1] = wait
    n_waited = n_waited + (wait > 0 and 1 or 0)
end
if #waits == 0 then
    call("HSET", KEYS[1], "refused", b.refused + 1)
    return {"wait", b.drained, waits, next_ms}
end
save(b, "acquired", b.acquired + #waits * n / NANO, "waited",
     b.waited + n_waited)
return {"ok", b.drained, waits, next_ms}
