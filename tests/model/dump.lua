-- All that a queue holds, in one answer, and takes its wake-up tokens, so that
-- those of the next step can be told.
--
-- KEYS[1]  the queue's cfg
-- Returns  {name, what, name, what, ...}: hashes as pairs, sorted sets with
--          scores, {value, ms to live} of strings
local call = redis.call
local base = string.sub(KEYS[1], 1, -4)
local READ = {
    hash = function(k) return call("HGETALL", k) end,
    zset = function(k) return call("ZRANGE", k, 0, -1, "WITHSCORES") end,
    list = function(k) return call("LRANGE", k, 0, -1) end,
    set = function(k) return call("SMEMBERS", k) end,
    string = function(k) return {call("GET", k), call("PTTL", k)} end,
    stream = function() return {} end,
}
local found = {}
for _, k in ipairs(call("KEYS", "*")) do
    if string.sub(k, 1, #base) == base then
        found[#found + 1] = string.sub(k, #base + 1)
        found[#found + 1] = READ[call("TYPE", k).ok](k)
    end
end
call("DEL", base .. "wake")
return found
