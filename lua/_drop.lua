-- @include end
-- @include ready
-- @include park
-- Room in a full queue whose when_full is drop_oldest.  An import's chunks
-- stay, because it could never be whole without them.

-- Ids from the fronts of one priority's lists, {id, list} each, `budget` at
-- most: as many of each group, and what short lists leave of the others'.
local function front_ids(ring, p, budget)
    local open, found = {}, {}
    for i, name in ipairs(call("LRANGE", ring, 0, budget - 1)) do
        open[i] = {
            name = name, at = 0, key = base .. "ready:" .. p .. ":" .. name,
        }
    end
    while #open > 0 and budget > 0 do
        local each, longer = math.ceil(budget / #open), {}
        for _, list in ipairs(open) do
            local ids = budget > 0 and
                call("LRANGE", list.key, list.at, list.at + each - 1) or {}
            for _, id in ipairs(ids) do
                found[#found + 1] = {id, list}
            end
            budget = budget - math.max(1, #ids)
            list.at = list.at + #ids
            if #ids == each then
                longer[#longer + 1] = list
            end
        end
        open = longer
    end
    return found
end

-- The oldest ready jobs at the front of one priority's lists, as records with
-- their list; ids that lead nowhere are among them, to be dropped on the way.
local function front_of(p, spared, budget)
    local ring = KEYS[RING0 + p]
    local found, seen = {}, {}
    for at, entry in ipairs(front_ids(ring, p, budget)) do
        local id, list = entry[1], entry[2]
        local rec = read(job_key(id), {
            "kind", "state", "parent", "unique", "created_ms", "ready_ms",
            "group", "priority",
        })
        local is_here = (rec.group or "-") == list.name and
                        tonumber(rec.priority or 5) == p
        rec.list, rec.ring, rec.group = list.key, ring, list.name
        rec.since, rec.at = tonumber(rec.ready_ms or rec.created_ms) or 0, at
        rec.is_ready = is_here and rec.kind and not rec.state and not seen[id]
        tally_know(rec.parent)
        if (not rec.parent or is_of_batch(rec.parent)) and
           not spared[id] then
            found[#found + 1] = rec
        end
        seen[id] = seen[id] or rec.is_ready
    end
    table.sort(found, function(a, b)
        return a.since < b.since or a.since == b.since and a.at < b.at
    end)
    return found
end

local function drop_all(victims, now)
    local lists, kinds = {}, {}
    for _, rec in ipairs(victims) do
        call("LREM", rec.list, 1, rec.id)
        lists[rec.list] = rec
        if rec.is_ready then
            if not unpark(rec.id, rec.kind) then
                kinds[rec.kind] = (kinds[rec.kind] or 0) + 1
            end
            end_dead(rec, now, "dropped: the queue was full", "ready")
        end
    end
    depth_add(kinds, -1)
    for list, rec in pairs(lists) do
        if call("EXISTS", list) == 0 then
            call("LREM", rec.ring, 1, rec.group)
        end
    end
end

-- The oldest ready jobs of the last priorities, until `n` are ready; returns
-- them, with dead ids among them, and how many are ready.  `looks` bounds what
-- is read.
local function find_victims(n, spared, looks)
    local victims, n_ready = {}, 0
    for p = 9, 0, -1 do
        for _, rec in ipairs(n_ready < n and front_of(p, spared, looks) or {}) do
            if n_ready < n then
                victims[#victims + 1] = rec
                n_ready = n_ready + (rec.is_ready and 1 or 0)
            end
        end
    end
    return victims, n_ready
end

-- Ends `n` ready jobs as dead, of the last priority first; false (and no job is
-- touched) where a bounded look finds not so many.  Ids that lead nowhere go in
-- any case, so that the next call looks further.
local function make_room(n, now, spared)
    local victims, n_ready = find_victims(n, spared, n + 20)
    if n_ready < n then
        victims, n_ready = find_victims(n, spared, 2 * n + 400)
    end
    local is_enough, go = n_ready >= n, {}
    for _, rec in ipairs(victims) do
        if is_enough or not rec.is_ready then
            go[#go + 1] = rec
        end
    end
    drop_all(go, now)
    if is_enough then
        call("HINCRBY", stats, "dropped", n)
    end
    return is_enough
end
