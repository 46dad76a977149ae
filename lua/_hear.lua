-- @include now
-- Notes that somebody spoke to this queue.  A silence of more than half a TTL
-- means that Redis was away (or its clock jumped): healthy pods could not
-- renew, so reclaim waits until hear().quiet_end + ttl, and what it takes then
-- costs no crash.  Pods and leader speak at least every third of a TTL while
-- there are leases.
local function hear(now, ttl)
    local m = call("HMGET", meta, "seen_ms", "quiet_end_ms", "ttl_ms",
                   "throttled_until_ms")
    local seen = tonumber(m[1]) or now
    local heard = {
        quiet_end = tonumber(m[2]) or 0,
        ttl = tonumber(m[3]) or ttl or 30000,
        throttled_until = tonumber(m[4]) or 0,
    }
    if ttl and ttl ~= tonumber(m[3]) then
        call("HSET", meta, "ttl_ms", ttl)
    end
    local silence = now - seen
    local too_long = silence > heard.ttl / 2
    -- A clock that was set back must not make reclaim wait for the old time.
    if too_long or silence < 0 and heard.quiet_end > now then
        heard.quiet_end = now
        call("HSET", meta, "seen_ms", now, "quiet_end_ms", now)
    elseif silence > math.min(1000, heard.ttl / 12) or silence < 0 or
           not m[1] then -- written seldom, but well within half a TTL
        call("HSET", meta, "seen_ms", now)
    end
    heard.ttl = ttl or heard.ttl
    return heard
end
