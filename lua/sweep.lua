#!lua flags=allow-oom
--[[
sweep: goes on stopping or reviving the children of batches, a step, for the
leader.  Which batches ask for it stands in `sweeps`, and how far each has come
in its tally, so that any leader goes on where the last one was.

KEYS     the queue's standing keys
KEYS[25] sweeps  set
ARGV[1]  epoch
Returns  {"ok", more, n_changed, 0, 0}  {"epoch", newer}
]]
-- @include queue
-- @include now
-- @include epoch
-- @include sweep
-- @include flush
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local parent = call("SRANDMEMBER", KEYS[STANDING + 1])
if not parent then
    return {"ok", 0, 0, 0, 0}
end
tally_know(parent)
local tally = tallies[parent]
local verb = tally and not tally.ended and
             (tally.stopping and "stop" or tally.reviving and "revive")
if not verb then
    call("SREM", sweeps, parent)
    return {"ok", call("EXISTS", sweeps), 0, 0, 0}
end
local n = sweep_batch(tally, now_ms())
tally_flush()
return {"ok", call("EXISTS", sweeps), n, 0, 0}
