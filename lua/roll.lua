#!lua flags=allow-oom
--[[
roll: makes a line of each finished minute, for the leader: what happened in
the queue, and percentiles of how long jobs waited and ran.  Lines are kept for
31 days in a hash an hour, which takes 4 to 8 KiB.

KEYS     the queue's standing keys
KEYS[25] minutes  set   minutes with counts
KEYS[26] rolled   hash  `minute`, the newest made; totals as they stood then
ARGV[1]  epoch
Returns  {"ok", more, n_lines, 0, 0}  {"epoch", newer}

The line of minute m is the field m of roll:<hour>: 16 whole numbers,
         done failed dead throttled cancelled released crashed enqueued
         ready running   as they stand
         p50 p95 p99     from ready to its start, in microseconds
         p50 p95 p99     run time, in microseconds
What workers count (done, failed, throttled, released, and the times) is of its
minute; the rest is what the totals grew by since the line before.
]]
-- @include queue
-- @include now
-- @include epoch
-- @include histogram
-- @include minute
local minutes, rolled = KEYS[STANDING + 1], KEYS[STANDING + 2]
local LINES_MAX, LOOK_MAX = 20, 200
local KEEP_S = 31 * 86400
local SETTLE_MS = 5000 -- pods tell about a second later
local TOTALS = {"dead", "cancelled", "crashed", "enqueued"}

local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local now = now_ms()
local last = math.floor((now - SETTLE_MS) / 60000) - 1 -- the newest finished

local function read_counts(minute)
    local counts, waited, ran = {}, {}, {}
    local pairs_of = call("HGETALL", base .. "minute:" .. minute)
    for i = 1, #pairs_of, 2 do
        local name, n = pairs_of[i], tonumber(pairs_of[i + 1])
        local list, bucket = string.match(name, "^([pr])(%d+)$")
        if list then
            local into = list == "p" and waited or ran
            into[#into + 1] = {tonumber(bucket), n}
        else
            counts[name] = n
        end
    end
    return counts, waited, ran
end

-- What the totals grew by goes to the newest minute.
local function growth()
    local totals, before = call("HMGET", stats, unpack(TOTALS)),
                           call("HMGET", rolled, unpack(TOTALS))
    local grown, set, is_any = {}, {"minute", last}, false
    for i, name in ipairs(TOTALS) do
        local n = set_default(totals[i], 0)
        grown[name] = math.max(0, n - set_default(before[i], 0))
        is_any = is_any or grown[name] > 0
        set[#set + 1] = name
        set[#set + 1] = n
    end
    call("HSET", rolled, unpack(set))
    return grown, is_any
end

local function write_line(minute, counts, waited, ran, grown, sizes)
    local PARTS = {0.5, 0.95, 0.99}
    local line = {
        counts.done or 0, counts.failed or 0, grown.dead or 0,
        counts.throttled or 0, grown.cancelled or 0, counts.released or 0,
        grown.crashed or 0, grown.enqueued or 0, sizes[1], sizes[2],
    }
    for _, times in ipairs({waited, ran}) do
        for _, value in ipairs(percentiles(times, PARTS)) do
            line[#line + 1] = value
        end
    end
    for i, value in ipairs(line) do
        line[i] = string.format("%.0f", value)
    end
    local key = base .. "roll:" .. string.format("%.0f",
                                                 math.floor(minute / 60))
    call("HSET", key, minute, table.concat(line, " "))
    call("EXPIRE", key, KEEP_S)
end

-- While there was no leader minutes gathered, and the counts of most have gone.
-- These go first: a sample of the others would have lines out of turn.
local waiting_minutes, forgotten = {}, {}
local more = call("SCARD", minutes) > LOOK_MAX
for _, minute in ipairs(call("SRANDMEMBER", minutes, LOOK_MAX)) do
    local m = tonumber(minute) or 0
    if (m + 1) * 60000 + KEEP_MINUTE_MS < now then
        forgotten[#forgotten + 1] = minute
    elseif m <= last and not more then
        waiting_minutes[#waiting_minutes + 1] = m
    end
end
if #forgotten > 0 then
    call("SREM", minutes, unpack(forgotten))
end
table.sort(waiting_minutes)
more = more or #waiting_minutes > LINES_MAX
local is_new = not more and
               last > set_default(call("HGET", rolled, "minute"), 0)
local grown, is_any = {}, false
local sizes = {
    set_default(call("HGET", depth, "-"), 0), call("ZCARD", leases),
}
if is_new then
    grown, is_any = growth()
    is_any = is_any or sizes[1] + sizes[2] > 0
end
local n_lines = math.min(#waiting_minutes, LINES_MAX)
local is_last_seen = false
for i = 1, n_lines do
    local minute = waiting_minutes[i]
    local counts, waited, ran = read_counts(minute)
    local is_last = minute == last and is_new
    is_last_seen = is_last_seen or is_last
    write_line(minute, counts, waited, ran, is_last and grown or {},
               is_last and sizes or {0, 0})
    call("UNLINK", base .. "minute:" .. minute)
    call("SREM", minutes, minute)
end
if is_any and not is_last_seen then
    write_line(last, {}, {}, {}, grown, sizes)
    n_lines = n_lines + 1
end
return {"ok", more and 1 or 0, n_lines, 0, 0}
