-- @include end
-- @include ready
-- @include park
-- @include children
local DELETE_FIELDS = {
    "kind", "state", "parent", "chunk", "own", "unique", "plan", "phase",
    "batch",
}

-- Why a job cannot be deleted now, or nil.
local function held_back(rec)
    if rec.state == "running" or rec.state == "waiting" then
        return rec.state
    end
    tally_know(rec.parent)
    local tally = rec.parent and tallies[rec.parent]
    if tally and not tally.batch then
        return "chunk"
    end
    return nil
end

-- The same for a batch, whose children keep their records, done or dead.
local function delete_children(rec)
    local tally = base .. "tally:" .. rec.id
    local t = call("HMGET", tally, "planned", "deleted_to")
    local from, ids, keys = set_default(t[2], 0), {}, {}
    local last = math.min(set_default(t[1], 0), from + 400)
    for n = from, last - 1 do
        ids[#ids + 1] = rec.id .. "." .. string.format("%.0f", n)
        keys[#keys + 1] = job_key(ids[#ids])
    end
    if #ids > 0 then
        call("ZREM", done, unpack(ids))
        call("ZREM", dead, unpack(ids))
        call("UNLINK", unpack(keys))
        call("HSET", tally, "deleted_to", last)
    end
    return last >= set_default(t[1], 0)
end

-- Deletes up to 400 chunks of an ended parent that left a record; true when
-- none are left.
local function delete_chunks(rec)
    local tally = base .. "tally:" .. rec.id
    local t = call("HMGET", tally, "planned", "deleted_to")
    local from = set_default(t[2], 0)
    local open, next_from = open_chunks(base .. "bits:" .. rec.id,
                                        set_default(t[1], 0), from, 4000)
    if #open > 400 then
        next_from = open[401]
    end
    local ids, keys = {}, {}
    for i = 1, math.min(#open, 400) do
        ids[i] = rec.id .. "." .. open[i]
        keys[i] = job_key(ids[i])
    end
    if #ids > 0 then
        call("ZREM", dead, unpack(ids))
        call("UNLINK", unpack(keys))
    end
    if next_from >= 0 then
        call("HSET", tally, "deleted_to", next_from)
    end
    return next_from < 0
end

-- Takes an unheld job out of every place and away.  False: a parent of many
-- children, call again.  A done child has done its part, with a record or
-- without.
local function delete_job(rec)
    if rec.batch then
        if not rec.children_stay and not delete_children(rec) then
            return false
        end
    elseif (rec.plan or rec.phase) and not delete_chunks(rec) then
        return false
    end
    if rec.state == "done" then
        call("ZREM", done, rec.id)
    elseif rec.state == "dead" then
        call("ZREM", dead, rec.id)
        tally_move(rec.parent, "dead", "deleted")
    else
        if rec.state == "scheduled" then
            call("ZREM", scheduled, rec.id)
        elseif not unpark(rec.id, rec.kind) then
            depth_add({[rec.kind] = 1}, -1)
        end
        tally_move(rec.parent, "ready", "deleted")
    end
    release_unique(rec)
    forget(rec)
    -- Children that went in the same script are not counted any more: that
    -- would bring the tally back.
    tallies[rec.id] = false
    return true
end
