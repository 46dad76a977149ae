#!lua flags=allow-oom
--[[
cancel: stops a job, wherever it is.
What has not begun is dead at once.  A running job is told through its next
renewal; a finish that comes first stands.  None of a parent's children is lent
from now on; the first hundred of a batch's are stopped here, the others and an
import's by the leader, or when a claim meets them.

KEYS     the queue's standing keys
KEYS[25] job    hash
ARGV[1]  actor  who wants it, for the event
Returns  {"cancelled"}: it is dead
         {"requested", pod, n}: pod "" for a parent; n of a parent's children
         are running still
         {"finished"}  {"unknown"}
]]
-- @include queue
-- @include now
-- @include sweep
-- @include flush
local rec = read(KEYS[STANDING + 1], {
    "kind", "state", "pod", "parent", "unique", "batch",
})
if not rec.kind then
    return {"unknown"}
end
if rec.state == "done" or rec.state == "dead" then
    return {"finished"}
end
local now = now_ms()
if rec.state == "running" then
    call("HSET", rec.key, "cancel_requested", 1)
    return {"requested", rec.pod or "", 0}
end

-- A batch that is being revived need not be revived any further.
local function cancel_parent()
    call("HSET", rec.key, "cancel_requested", 1)
    tally_know(rec.id)
    local tally = tallies[rec.id]
    if not tally then
        return {"requested", "", 0}
    end
    tally.rec = nil -- read before it was asked for
    tally.stopping, tally.reviving = "1", nil
    call("HSET", tally.key, "stopping", 1)
    call("HDEL", tally.key, "reviving", "swept_to")
    if not tally.batch then
        return {"requested", "", set_default(tally.running, 0)}
    end
    sweep_batch(tally, now)
    tally_flush()
    if tally.ended then
        return {"cancelled"}
    end
    return {"requested", "", set_default(tally.running, 0)}
end

if rec.state == "waiting" then
    return cancel_parent()
end
tally_know(rec.parent)
if rec.state == "scheduled" then
    call("ZREM", scheduled, rec.id)
elseif not unpark(rec.id, rec.kind) then
    depth_add({[rec.kind] = 1}, -1) -- its id is dropped when its turn comes
end
call("HINCRBY", stats, "cancelled", 1)
end_dead(rec, now, "cancelled by user", "ready")
event(now, "cancelled", rec.id, rec.kind, "", ARGV[1])
tally_flush()
return {"cancelled"}
