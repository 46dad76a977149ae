#!lua flags=no-writes
--[[
queue_info: the numbers of one queue, at the same moment.

KEYS     the queue's standing keys
Returns  {"ok", paused, max_workers, ready, scheduled, running, waiting, done,
         dead, parked, oldest_ready_ms, throttled_until_ms, due, now_ms}
         ready counts parked jobs; oldest_ready_ms looks at the heads of the
         first ten groups of each priority
]]
-- @include queue
-- @include now
local now = now_ms()
local c = call("HMGET", cfg, "paused", "max_workers")
local oldest = 0
for p = 0, 9 do
    for _, group in ipairs(call("LRANGE", KEYS[RING0 + p], 0, 9)) do
        local id = call("LINDEX", base .. "ready:" .. p .. ":" .. group, 0)
        local t = call_on_record("HMGET", job_key(id or ""), "ready_ms",
                                 "created_ms", "state")
        local since = tonumber(t[1] or t[2])
        if since and not t[3] and (oldest == 0 or since < oldest) then
            oldest = since
        end
    end
end
local n_parked = call("ZCARD", parked)
local cools_until = set_default(call("HGET", meta, "throttled_until_ms"), 0)
if cools_until <= now then
    cools_until = 0
end
return {
    "ok", c[1] == "1" and 1 or 0, set_default(c[2], 1),
    set_default(call("HGET", depth, "-"), 0) + n_parked,
    call("ZCARD", scheduled), call("ZCARD", leases), call("ZCARD", waiting),
    call("ZCARD", done), call("ZCARD", dead), n_parked, oldest,
    cools_until,
    call("ZCOUNT", scheduled, "-inf", now), now,
}
