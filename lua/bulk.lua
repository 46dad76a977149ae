#!lua flags=allow-oom
--[[
bulk: does one thing to many jobs of one state, a slice a call.

KEYS     the queue's standing keys
ARGV[1]  verb    "delete"; "retry" (of dead or done); "cancel" (of ready,
                 scheduled or parked)
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
-- @include flush
local verb, state, kind, cursor = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local SLICE = 64
local SETS = {scheduled = scheduled, parked = parked, done = done, dead = dead}
local FIELDS = {
    "kind", "state", "parent", "chunk", "own", "unique", "plan", "phase",
    "priority", "group", "fence", "unique_ttl_ms", "batch",
}
local ended = state == "done" or state == "dead"
local is_allowed = verb == "delete" or verb == "retry" and ended or
                   verb == "cancel" and not ended
if not is_allowed or not SETS[state] and state ~= "ready" then
    return {"verb"}
end

-- A slice of a sorted set: the cursor is how many were stepped over.
local function slice_of_set(key)
    local from = tonumber(cursor) or 0
    local ids = call("ZRANGE", key, from, from + SLICE - 1)
    return {ids = ids, from = from, more = #ids == SLICE}
end

-- A slice of the ready lists: "priority:index in the ring:offset".
local function slice_of_lists()
    local p, index, offset = string.match(cursor, "(%d+):(%d+):(%d+)")
    p, index = tonumber(p) or 0, tonumber(index) or 0
    offset = tonumber(offset) or 0
    while p <= 9 do
        local group = call("LINDEX", KEYS[RING0 + p], index)
        if group then
            local key = base .. "ready:" .. p .. ":" .. group
            return {
                ids = call("LRANGE", key, offset, offset + SLICE - 1),
                key = key, ring = KEYS[RING0 + p], group = group,
                p = p, index = index, offset = offset,
            }
        end
        p, index, offset = p + 1, 0, 0
    end
    return {ids = {}}
end

local expect = state ~= "ready" and state ~= "parked" and state or false
local function is_meant(rec)
    tally_know(rec.parent)
    if kind ~= "" and rec.kind ~= kind then
        return false
    end
    if verb == "retry" then
        return may_again(rec)
    end
    return verb == "cancel" or not held_back(rec)
end

-- A parent ends the slice: its chunks are a step of their own, and what is
-- deleted in part must be the first that the next call looks at.
local slice = SETS[state] and slice_of_set(SETS[state]) or slice_of_lists()
local recs, stays, strange, seen = {}, 0, 0, {}
for _, id in ipairs(slice.ids) do
    local rec = read(job_key(id), FIELDS)
    if not rec.kind or rec.state ~= expect or seen[id] then
        strange = strange + 1 -- in a ready list: dropped when its turn comes
    elseif is_meant(rec) then
        recs[#recs + 1] = rec
        if verb == "delete" and (rec.plan or rec.phase) then
            slice.more = true
            break
        end
    else
        stays = stays + 1
    end
    seen[id] = true
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

local n = #recs
if verb == "retry" then
    again(recs, now)
else
    for _, rec in ipairs(recs) do
        if verb == "cancel" then
            cancel(rec)
        elseif not delete_job(rec) then
            n = n - 1
        end
    end
end
tally_flush()

-- Ids of ready jobs that are ready no more leave the front of their list at
-- once; elsewhere they stay until their turn comes.
local function cursor_of_lists()
    if not slice.key then
        return ""
    end
    if slice.offset == 0 and stays == 0 then
        call("LTRIM", slice.key, #slice.ids, -1)
        if call("EXISTS", slice.key) == 0 then
            call("LREM", slice.ring, 1, slice.group)
        end
        return slice.p .. ":" .. slice.index .. ":0"
    end
    if #slice.ids == SLICE then
        return slice.p .. ":" .. slice.index .. ":" .. slice.offset + SLICE
    end
    return slice.p .. ":" .. slice.index + 1 .. ":0"
end

local next_cursor = ""
if slice.key then
    next_cursor = cursor_of_lists()
elseif slice.more then
    next_cursor = tostring(slice.from + stays + strange)
end
return {"ok", n, next_cursor}
