#!lua flags=allow-oom
--[[
observe: what a pod has to tell about a queue besides the jobs' own outcomes:
events for people, and counts for this minute's metrics.  Sent about once a
second while there is something to tell, never on the way of a job.  A call
that is repeated counts once.

KEYS     the queue's standing keys
KEYS[25] reported  string  the number of the pod's last call, for ten minutes
KEYS[26] minutes   set     minutes with counts that roll has not taken yet
ARGV[1]  number    of this call; grows with each
ARGV[2]  pod
ARGV[3]  n_events  at most 250
ARGV[4..] per event: type, id, kind, detail, age_ms (how long ago)
ARGV behind them: field, count, ... for the hash minute:<minute>
Returns  {"ok"}
]]
-- @include queue
-- @include now
-- @include minute
local reported, minutes = KEYS[STANDING + 1], KEYS[STANDING + 2]
local KEEP_NUMBER_MS = 600000

local number, pod, n_events = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if number <= (tonumber(call("GET", reported)) or 0) then
    return {"ok"}
end
local now = now_ms()
call("SET", reported, ARGV[1], "PX", KEEP_NUMBER_MS)
local at = 4
for _ = 1, n_events do
    event(now - tonumber(ARGV[at + 4]), ARGV[at], ARGV[at + 1], ARGV[at + 2],
          ARGV[at + 3], "", pod)
    at = at + 5
end
if at > #ARGV then
    return {"ok"}
end
local minute = string.format("%.0f", math.floor(now / 60000))
local counts = base .. "minute:" .. minute
for i = at, #ARGV, 2 do
    call("HINCRBY", counts, ARGV[i], ARGV[i + 1])
end
call("PEXPIRE", counts, KEEP_MINUTE_MS)
call("SADD", minutes, minute)
return {"ok"}
