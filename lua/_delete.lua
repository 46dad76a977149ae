-- @include end
-- @include ready
-- @include park
-- @include children
local DELETE_FIELDS = {
    "kind", "state", "parent", "chunk", "own", "unique", "plan", "phase",
}

-- Why a job cannot be deleted now, or nil.
local function held_back(rec)
    if rec.state == "running" or rec.state == "waiting" then
        return rec.state
    end
    if rec.parent and call("EXISTS", job_key(rec.parent)) == 1 then
        return "chunk"
    end
    return nil
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
-- chunks, call again.
local function delete_job(rec)
    if (rec.plan or rec.phase) and not delete_chunks(rec) then
        return false
    end
    if rec.state == "done" then
        call("ZREM", done, rec.id)
    elseif rec.state == "dead" then
        call("ZREM", dead, rec.id)
    elseif rec.state == "scheduled" then
        call("ZREM", scheduled, rec.id)
    elseif not unpark(rec.id, rec.kind) then
        depth_add({[rec.kind] = 1}, -1)
    end
    release_unique(rec)
    forget(rec)
    return true
end
