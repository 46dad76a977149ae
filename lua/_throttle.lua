-- The whole queue cools down when a target says "too much": a state with an
-- end time.  Only the first throttle of a window lengthens the next one, and
-- two quiet minutes behind its end forget the past.
local QUIET_MS, FLAT_MS = 120000, 60000

-- Returns until when.  `c` are backoff_enabled, backoff_base_ms and
-- backoff_max_ms.
local function cool_down(rec, now, c)
    local m = call("HMGET", meta, "throttled_until_ms", "throttles")
    local until_ms = tonumber(m[1]) or 0
    if until_ms > now then
        return until_ms
    end
    local n = now - until_ms <= QUIET_MS and tonumber(m[2]) or 0
    local delay = FLAT_MS
    if c[1] ~= "0" then
        delay = math.min(set_default(c[2], 5000) * 2 ^ n,
                         set_default(c[3], 1800000))
    end
    call("HSET", meta, "throttled_until_ms", now + delay, "throttles", n + 1)
    event(now, "throttled", rec.id, rec.kind, "for " .. delay .. " ms")
    return now + delay
end
