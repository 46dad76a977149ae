-- @include end
-- @include ready
-- Room in a full queue whose when_full is drop_oldest.  An import's chunks
-- stay, because it could never be whole without them.
local LOOKS = 1000

-- The oldest ready jobs at the front of one priority's lists, as records with
-- their list; ids that lead nowhere are dropped on the way.
local function front_of(p, spared)
    local ring = KEYS[RING0 + p]
    local names, found, seen = call("LRANGE", ring, 0, LOOKS - 1), {}, {}
    local each = math.ceil(LOOKS / math.max(1, #names))
    for _, name in ipairs(names) do
        local list = base .. "ready:" .. p .. ":" .. name
        for _, id in ipairs(call("LRANGE", list, 0, each - 1)) do
            local rec = read(job_key(id), {
                "kind", "state", "parent", "unique", "created_ms", "ready_ms",
                "group", "priority",
            })
            local is_here = (rec.group or "-") == name and
                            tonumber(rec.priority or 5) == p
            rec.list, rec.ring, rec.group = list, ring, name
            rec.since = tonumber(rec.ready_ms or rec.created_ms) or 0
            rec.is_ready = is_here and rec.kind and not rec.state and
                           not seen[id]
            tally_know(rec.parent)
            if (not rec.parent or is_of_batch(rec.parent)) and
               not spared[id] then
                found[#found + 1] = rec
            end
            seen[id] = seen[id] or rec.is_ready
        end
    end
    table.sort(found, function(a, b) return a.since < b.since end)
    return found
end

local function drop(rec, now)
    call("LREM", rec.list, 1, rec.id)
    if call("EXISTS", rec.list) == 0 then
        call("LREM", rec.ring, 1, rec.group)
    end
    if rec.is_ready then
        depth_add({[rec.kind] = 1}, -1)
        end_dead(rec, now, "dropped: the queue was full", "ready")
    end
end

-- Ends `n` ready jobs as dead, of the last priority first; false (and nothing
-- is changed) where there are not so many.
local function make_room(n, now, spared)
    local victims, n_ready = {}, 0
    for p = 9, 0, -1 do
        for _, rec in ipairs(n_ready < n and front_of(p, spared) or {}) do
            if n_ready < n then
                victims[#victims + 1] = rec
                n_ready = n_ready + (rec.is_ready and 1 or 0)
            end
        end
    end
    if n_ready < n then
        return false
    end
    for _, rec in ipairs(victims) do
        drop(rec, now)
    end
    call("HINCRBY", stats, "dropped", n)
    return true
end
