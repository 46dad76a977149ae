#!lua flags=allow-oom
--[[
pause: stops or resumes the claims of a queue; what runs, runs on.

KEYS     the queue's standing keys
ARGV[1]  paused  1 or 0
Returns  {"ok", changed (1 or 0)}
]]
-- @include queue
local was = call("HGET", cfg, "paused") == "1"
if ARGV[1] == "1" then
    call("HSET", cfg, "paused", "1")
else
    call("HDEL", cfg, "paused")
    wake_one()
end
return {"ok", was ~= (ARGV[1] == "1") and 1 or 0}
