#!lua flags=allow-oom
--[[
run_now: makes a scheduled job ready at once.

KEYS     the queue's standing keys
KEYS[25] job  hash
Returns  {"ok"}  {"unknown"}  {"state", state}
]]
-- @include queue
-- @include now
-- @include end
-- @include ready
local rec = read(KEYS[STANDING + 1], {"kind", "state", "priority", "group"})
if not rec.kind then
    return {"unknown"}
end
if rec.state ~= "scheduled" then
    return {"state", rec.state or "ready"}
end
call("ZREM", scheduled, rec.id)
call("HDEL", rec.key, "state", "due_ms")
call("HSET", rec.key, "ready_ms", now_ms())
push_ready({{rec.id, rec.priority or 5, rec.group or "-", rec.kind}}, true)
wake_one()
return {"ok"}
