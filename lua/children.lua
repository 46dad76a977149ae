#!lua flags=allow-oom
--[[
children: cancels, or makes ready again, a parent's chunks, a step at a time,
for the leader.  A running chunk is only told; its pod hears it at its next
renewal.

KEYS     the queue's standing keys
KEYS[25] parent  hash
KEYS[26] tally   hash    the parent's
KEYS[27] bits    bitmap  the parent's
ARGV[1]  epoch
ARGV[2]  verb    "stop": ready ones end as dead, running ones are told
                 "revive": dead ones are ready again, attempts anew
ARGV[3]  from    first number to look at
Returns  {"ok", next_from (-1 at the end), n_changed}
         {"unknown"}  {"state", state}  {"epoch", newer}
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
local verb, from = ARGV[2], tonumber(ARGV[3])
local parent_id = id_of(KEYS[STANDING + 1])
local p = call("HMGET", KEYS[STANDING + 1], "kind", "state")
if not p[1] then
    return {"unknown"}
end
if p[2] ~= "waiting" then
    return {"state", p[2] or "ready"}
end
local planned = set_default(call("HGET", KEYS[STANDING + 2], "planned"), 0)
tally_know(parent_id)
local next_from, n_changed = sweep_step(parent_id, planned, from, verb,
                                        now_ms())
tally_flush()
return {"ok", next_from, n_changed}
