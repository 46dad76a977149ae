#!lua flags=allow-oom
--[[
stamp: shows a new leader's epoch to a queue, before its first duty there.

KEYS     the queue's standing keys
ARGV[1]  epoch
Returns  {"ok", 0, 0, 0, 0}  {"epoch", newer}
]]
-- @include queue
-- @include epoch
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
return {"ok", 0, 0, 0, 0}
