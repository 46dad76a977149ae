#!lua flags=allow-oom
--[[
delete: takes a job's record away, with all that belongs to it.

KEYS     the queue's standing keys
KEYS[25] job  hash
Returns  {"ok"}  {"unknown"}
         {"state", "running" | "waiting" | "chunk"}: cancel it, or delete its
         parent (a batch's child can be deleted alone)
         {"again"}: a parent's chunks were deleted in part
]]
-- @include queue
-- @include now
-- @include delete
-- @include flush
local rec = read(KEYS[STANDING + 1], DELETE_FIELDS)
if not rec.kind then
    return {"unknown"}
end
local why_not = held_back(rec)
if why_not then
    return {"state", why_not}
end
local is_gone = delete_job(rec)
tally_flush()
return {is_gone and "ok" or "again"}
