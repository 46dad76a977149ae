#!lua flags=allow-oom
--[[
bulk: does one thing to many jobs of one state, a slice a call.

KEYS     the queue's standing keys
ARGV[1]  verb    "delete"; "retry" (of dead or done); "cancel" (of ready or
                 scheduled)
ARGV[2]  state   "ready" "scheduled" "parked" "done" "dead"
ARGV[3]  kind    "" for any
ARGV[4]  cursor  "" at first
Returns  {"ok", n_changed, next_cursor ("" at the end)}
         {"verb"}: not for this state
What stays where it is (another kind, a chunk of a living parent) is stepped
over.  While other programs work on the queue a pass can miss a job.
]]
-- @include queue
-- @include now
-- @include delete
-- @include again
local verb, state, kind, cursor = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local SLICE = 500
local SETS = {scheduled = scheduled, parked = parked, done = done, dead = dead}
local FIELDS = {
    "kind", "state", "parent", "chunk", "own", "unique", "plan", "phase",
    "priority", "group",
}
local ended = state == "done" or state == "dead"
if verb == "retry" and not ended or verb == "cancel" and ended or
   not SETS[state] and state ~= "ready" then
    return {"verb"}
end

-- A slice of a sorted set: the cursor is how many were stepped over.
local function slice_of_set(key)
    local from = tonumber(cursor) or 0
    local ids = call("ZRANGE", key, from, from + SLICE - 1)
    return ids, #ids == SLICE, from
end

-- A slice of the ready lists: "priority:index in the ring:offset".  Ids stay in
-- their list, and are dropped when their turn comes.
local function slice_of_lists()
    local p, index, offset = string.match(cursor, "(%d+):(%d+):(%d+)")
    p, index = tonumber(p) or 0, tonumber(index) or 0
    offset = tonumber(offset) or 0
    while p <= 9 do
        local group = call("LINDEX", KEYS[RING0 + p], index)
        if group then
            local key = base .. "ready:" .. p .. ":" .. group
            local ids = call("LRANGE", key, offset, offset + SLICE - 1)
            if #ids == SLICE then
                return ids, p .. ":" .. index .. ":" .. offset + SLICE
            end
            return ids, p .. ":" .. index + 1 .. ":0"
        end
        p, index, offset = p + 1, 0, 0
    end
    return {}, ""
end

local ids, next_cursor, more, from
if state == "ready" then
    ids, next_cursor = slice_of_lists()
else
    ids, more, from = slice_of_set(SETS[state])
end
local expect = state ~= "ready" and state ~= "parked" and state or false
local recs, stays = {}, 0
for _, id in ipairs(ids) do
    local rec = read(job_key(id), FIELDS)
    if rec.kind and rec.state == expect and (kind == "" or rec.kind == kind)
       and not (rec.parent and (verb ~= "cancel" or ended))
       and not ((rec.plan or rec.phase) and verb == "delete") then
        tally_know(rec.parent)
        recs[#recs + 1] = rec
    else
        stays = stays + 1
    end
end

local now = now_ms()
local function cancel(rec)
    if rec.state == "scheduled" then
        call("ZREM", scheduled, rec.id)
    elseif not unpark(rec.id, rec.kind) then
        depth_add({[rec.kind] = 1}, -1)
    end
    call("HINCRBY", stats, "cancelled", 1)
    end_dead(rec, now, "cancelled by user", "ready")
end

if verb == "retry" then
    again(recs, now)
else
    for _, rec in ipairs(recs) do
        if verb == "cancel" then
            cancel(rec)
        else
            delete_job(rec, now)
        end
    end
end
tally_flush()
if state ~= "ready" then
    next_cursor = more and tostring(from + stays) or ""
end
return {"ok", #recs, next_cursor}
