#!lua flags=allow-oom
--[[
configure: writes settings of a queue.

KEYS     the queue's standing keys
ARGV[1]  only_absent  1: a seed, which leaves alone what is there
ARGV[2..] field, value, ...
Returns  {"ok", {field, value, ...}}: all settings as they are now
]]
-- @include queue
local before = set_default(call("HGET", cfg, "max_workers"), 1)
for i = 2, #ARGV, 2 do
    if ARGV[1] == "1" then
        call("HSETNX", cfg, ARGV[i], ARGV[i + 1])
    else
        call("HSET", cfg, ARGV[i], ARGV[i + 1])
    end
end
if set_default(call("HGET", cfg, "max_workers"), 1) > before then
    wake_one()
end
return {"ok", call("HGETALL", cfg)}
