-- The one clock: milliseconds since the epoch by the server.
local function now_ms()
    local t = redis.call("TIME")
    return t[1] * 1000 + math.floor(t[2] / 1000)
end
