#!lua flags=allow-oom
--[[
configure: writes settings of a queue.

KEYS     the queue's standing keys
ARGV[1]  only_absent  1: a seed, which leaves alone what is there
ARGV[2..] field, value, ...
Returns  {"ok", {field, value, ...}}: all settings as they are now
]]
-- @include queue

-- The caps, where none is the highest.
local function caps()
    local c = call("HMGET", cfg, "max_workers", "group_max")
    local group_max = set_default(c[2], 0)
    return set_default(c[1], 1), group_max > 0 and group_max or math.huge
end

local cap, group_max = caps()
for i = 2, #ARGV, 2 do
    if ARGV[1] == "1" then
        call("HSETNX", cfg, ARGV[i], ARGV[i + 1])
    else
        call("HSET", cfg, ARGV[i], ARGV[i + 1])
    end
end
local new_cap, new_group_max = caps()
if new_cap > cap or new_group_max > group_max then
    wake_one()
end
return {"ok", call("HGETALL", cfg)}
