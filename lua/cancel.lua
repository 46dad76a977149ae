#!lua flags=allow-oom
--[[
cancel: stops a job, wherever it is.
What has not begun is dead at once.  A running job is told through its next
renewal, a parent by the leader; a finish that comes first stands.

KEYS     the queue's standing keys
KEYS[25] job    hash
ARGV[1]  actor  who wants it, for the event
Returns  {"cancelled"}  {"requested", pod ("" for a parent)}  {"finished"}
         {"unknown"}
]]
-- @include queue
-- @include now
-- @include end
-- @include ready
-- @include park
local rec = read(KEYS[STANDING + 1], {
    "kind", "state", "pod", "parent", "unique",
})
if not rec.kind then
    return {"unknown"}
end
if rec.state == "done" or rec.state == "dead" then
    return {"finished"}
end
if rec.state == "running" or rec.state == "waiting" then
    call("HSET", rec.key, "cancel_requested", 1)
    return {"requested", rec.state == "running" and rec.pod or ""}
end
tally_know(rec.parent)
local now = now_ms()
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
