#!lua flags=no-writes
--[[
cron_look: which schedules want to be looked at, for the leader's every second.

KEYS[1]  crons  zset
ARGV[1]  limit  most names to answer
Returns  {"ok", now, next_ms, {name, ...}}
         next_ms: when the first of those that do not yet want to will, 0: none
]]
-- @include now
local call = redis.call
local crons, now = KEYS[1], now_ms()
local names = call("ZRANGE", crons, "-inf", now, "BYSCORE", "LIMIT", 0,
                   tonumber(ARGV[1]))
local later = call("ZRANGE", crons, "(" .. now, "(inf", "BYSCORE", "LIMIT", 0, 1,
                   "WITHSCORES")
return {"ok", now, tonumber(later[2]) or 0, names}
