#!lua flags=allow-oom
--[[
retry: starts an ended job anew, from its cursor.  A chunk is retried through
its parent.

KEYS     the queue's standing keys
KEYS[25] job      hash
ARGV[1]  replace  1: ARGV[2] is its new payload
ARGV[2]  payload
Returns  {"ok"}  {"unknown"}  {"state", state}: not ended, or a chunk
]]
-- @include queue
-- @include now
-- @include again
local rec = read(KEYS[STANDING + 1], AGAIN_FIELDS)
if not rec.kind then
    return {"unknown"}
end
if rec.parent then
    return {"state", "chunk"}
end
if rec.state ~= "dead" and rec.state ~= "done" then
    return {"state", rec.state or "ready"}
end
if ARGV[1] == "1" then
    call("HSET", rec.key, "payload", ARGV[2])
end
again({rec}, now_ms())
return {"ok"}
