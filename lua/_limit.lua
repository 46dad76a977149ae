-- @include now
-- A token bucket.  Tokens are counted in whole billionths and time in whole
-- milliseconds, so that no sum is ever rounded: what was refilled over a year
-- is the rate times that year.  Below zero are tokens that were promised: who
-- reserved them waits until they are there, and comes back for nothing.
local call = redis.call
local NANO = 1000000000
-- The largest capacity, rate and sum of promises: all numbers stay within what
-- a double counts exactly.
local MAX = 1000000 * NANO
-- A block that is longer was written by a clock that has been set back since.
local BLOCK_MAX_MS = 86400000

-- "-2.5" as billionths; nil for what is no such number.
local function parse_nano(text)
    local sign, whole, part = string.match(text or "", "^(%-?)(%d+)%.?(%d*)$")
    if not whole then
        return nil
    end
    local nano = tonumber(whole) * NANO +
                 tonumber(string.sub(part .. "000000000", 1, 9))
    if nano > MAX then
        return nil
    end
    return sign == "-" and -nano or nano
end

local function format_nano(nano)
    local sign, rest = nano < 0 and "-" or "", math.abs(nano)
    local part = math.fmod(rest, NANO)
    local text = string.format("%s%.0f.%09.0f", sign, (rest - part) / NANO,
                               part)
    return (string.gsub(text, "%.?0+$", ""))
end

-- Brings what was refilled since up to `now`.
local function refill(b, now)
    if b.at > now and b.at > b.blocked then
        b.at = now -- the server's clock was set back
    end
    if now > b.at then
        b.tokens = math.min(b.capacity, b.tokens + (now - b.at) * b.rate)
        b.at = now
    end
end

-- The bucket as it stands now; nil where there is none, and the name of a
-- field where somebody wrote what is no number.
local function open_bucket(key, now)
    local v = call("HMGET", key, "capacity", "refill_per_second", "tokens",
                   "at_ms", "blocked_until_ms", "drained", "acquired",
                   "waited", "refused", "returned")
    if not v[1] and not v[2] then
        return nil
    end
    local b = {
        key = key, capacity = parse_nano(v[1]), rate = parse_nano(v[2]),
        at = tonumber(v[4]) or now, blocked = tonumber(v[5]) or 0,
        drained = tonumber(v[6]) or 0, acquired = tonumber(v[7]) or 0,
        waited = tonumber(v[8]) or 0, refused = tonumber(v[9]) or 0,
        returned = tonumber(v[10]) or 0,
    }
    if not b.capacity or b.capacity < NANO then
        return nil, "capacity"
    elseif not b.rate or b.rate < 0 then
        return nil, "refill_per_second"
    end
    b.rate = math.floor(b.rate / 1000) -- billionths a millisecond
    b.tokens = parse_nano(v[3]) or b.capacity
    b.tokens = math.max(-MAX, math.min(b.capacity, b.tokens))
    if b.blocked > now + BLOCK_MAX_MS then
        b.blocked = 0
    end
    refill(b, now)
    return b
end

-- Milliseconds until `nano` are there; nil: never by itself.
local function wait_for(b, nano, now)
    local lacking = nano - b.tokens
    local rest_of_block = math.max(0, b.at - now)
    if lacking <= 0 then
        return rest_of_block
    elseif b.rate == 0 then
        return nil
    end
    local part = math.fmod(lacking, b.rate)
    return rest_of_block + (lacking - part) / b.rate + (part > 0 and 1 or 0)
end

local function save(b, ...)
    call("HSET", b.key, "tokens", format_nano(b.tokens), "at_ms",
         string.format("%.0f", b.at), ...)
end

-- What a caller is told that finds no bucket that it could use.
local function no_bucket(broken)
    return broken and {"broken", broken} or {"unknown"}
end
