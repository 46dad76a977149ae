-- @include now
-- Children move between the places of their parent's tally in the script that
-- moves the child.  tally_know() is called while reading, tally_move() while
-- writing, tally_flush() (_flush.lua) once at the end.
local tallies = {}
local TALLY_FIELDS = {
    "planned", "batch", "sealed", "stopping", "reviving", "ended", "ready",
    "running",
}
-- What the end of a batch parent asks of its record.
local PARENT_FIELDS = {
    "kind", "state", "cancel_requested", "on_complete", "on_success",
    "on_failure", "own",
}

local function read_tally(parent)
    local key = base .. "tally:" .. parent
    local t, v = {id = parent, key = key, adds = {}, seen = 0},
                 call_on_record("HMGET", key, unpack(TALLY_FIELDS))
    for i, name in ipairs(TALLY_FIELDS) do
        t[name] = v[i]
    end
    -- Of a parent that is gone nothing is counted any more.
    return (t.planned or t.batch) and t or false
end

local function read_parent(tally)
    local key = job_key(tally.id)
    local rec, v = {key = key, id = tally.id},
                   call_on_record("HMGET", key, unpack(PARENT_FIELDS))
    for i, name in ipairs(PARENT_FIELDS) do
        rec[name] = v[i]
    end
    return rec
end

local function open_children(tally)
    return (tonumber(tally.ready) or 0) + (tonumber(tally.running) or 0)
end

-- To be called once for each child that the script may move: so it is known
-- when the parent could end, and its record is read before anything is
-- written.
local function tally_know(parent)
    if not parent then
        return
    end
    if tallies[parent] == nil then
        tallies[parent] = read_tally(parent)
    end
    local tally = tallies[parent]
    if tally and tally.batch then
        tally.seen = tally.seen + 1
        if not tally.rec and (tally.sealed or tally.stopping) and
           open_children(tally) <= tally.seen then
            tally.rec = read_parent(tally)
        end
    end
end

-- Its other children are being stopped: this one is not lent, and does not
-- come back, any more.
local function is_stopping(parent)
    local tally = parent and tallies[parent]
    return tally and tally.stopping
end

-- A child of a batch, which keeps its record when it has ended, as any job.
local function is_of_batch(parent)
    local tally = parent and tallies[parent]
    return tally and tally.batch
end

local function tally_add(parent, field, n)
    local tally = parent and tallies[parent]
    if tally then
        tally.adds[field] = (tally.adds[field] or 0) + n
        -- The first dead child of a batch that fails fast stops the others.
        if field == "dead" and n > 0 and tally.batch == "fail_fast" then
            tally.stopping = tally.stopping or "now"
        end
    end
end

local function tally_move(parent, from, to)
    tally_add(parent, from, -1)
    tally_add(parent, to, 1)
end

-- A chunk's cursor moved: by the time of it people see a stalled import.
local function tally_moved(parent)
    local tally = parent and tallies[parent]
    if tally then
        tally.moved = true
    end
end

-- A pod handed a chunk back and says why: the leader looks at the source.
local function tally_doubted(parent)
    local tally = parent and tallies[parent]
    if tally then
        tally.doubted = true
    end
end
