#!lua flags=allow-oom
--[[
retry: starts an ended job anew, from its cursor.  A chunk is retried through
its parent; so is a batch's child, unless it is dead and the batch still waits.
The first hundred of a batch's dead children are ready at once, the others
when the leader has swept on.

KEYS     the queue's standing keys
KEYS[25] job      hash
ARGV[1]  replace  1: ARGV[2] is its new payload
ARGV[2]  payload
Returns  {"ok"}  {"unknown"}  {"state", state}: not ended, a chunk, or a batch
         that is done
]]
-- @include queue
-- @include now
-- @include sweep
-- @include flush
local rec = read(KEYS[STANDING + 1], AGAIN_FIELDS)
if not rec.kind then
    return {"unknown"}
end
if rec.state ~= "dead" and rec.state ~= "done" then
    return {"state", rec.state or "ready"}
end
if not may_again(rec) then
    return {"state", rec.parent and "chunk" or rec.state}
end
if ARGV[1] == "1" then
    call("HSET", rec.key, "payload", ARGV[2])
end
local now = now_ms()
again({rec}, now)
tally_know(rec.batch and rec.id)
if rec.batch and tallies[rec.id] then
    sweep_batch(tallies[rec.id], now)
end
tally_flush()
return {"ok"}
