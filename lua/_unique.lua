-- @include delete
-- Who holds a unique key, and what a new job with the same key does to it.
-- Everything is read and decided first; unique_write() acts.
--
-- refuse    the new job is not added, whoever holds the key
-- replace   a holder that waits is deleted, and the new job takes its place
-- debounce  a holder that waits stays what it is, with the new job's kind,
--           payload and due time: each push moves it on
--
-- A holder that runs stays in every mode, and so does one that its parent
-- holds back.
local HOLDER_FIELDS = {
    "kind", "state", "parent", "chunk", "own", "unique", "plan", "phase",
    "priority", "group", "created_ms", "fence", "pod", "settled",
}
-- What belongs to the payload that a debounced job had before.
local OLD_LIFE = {
    "state", "attempts", "crashes", "throttles", "error", "errors", "result",
    "cursor", "seq", "sums", "progress", "enc", "expires_ms", "max_attempts",
    "timeout_ms", "due_ms", "unique_ttl_ms", "started_ms",
}
local holders = {}  -- by unique key: {rec, next} or {job}, or false
local replaced = {} -- records that give way
local n_dropped = 0 -- jobs of this call that gave way to later ones
local gave_way = {} -- their ids, free again: true, or "own" where remembered

-- A key of a job that has ended or is gone holds nobody up.
local function find_holder(unique)
    local id = call("GET", base .. "unique:" .. unique)
    local rec = id and read(job_key(id), HOLDER_FIELDS)
    if not rec or not rec.kind or rec.unique ~= unique or
       rec.state == "done" or rec.state == "dead" then
        return nil
    end
    local waits = not rec.state or rec.state == "scheduled"
    return {rec = rec, waits = waits and not held_back(rec)}
end

-- The id that stands for a new job, or nil where it is to be added.
local function unique_meet(job)
    local o, unique = job.o, job.o.u
    local h = holders[unique]
    if h == nil then
        h = find_holder(unique) or false
    end
    if not h then
        holders[unique] = {job = job, waits = not o.parent}
        return nil
    end
    holders[unique] = h
    local of = h.rec or h.job
    if o.um == "replace" and h.waits then
        if h.rec then
            replaced[#replaced + 1] = h.rec
        else
            h.job.is_dropped = true
            n_dropped = n_dropped + 1
        end
        gave_way[of.id] = (h.rec and h.rec.own or h.job and h.job.o.own) and
                          "own" or true
        holders[unique] = {job = job, waits = not o.parent}
        return nil
    end
    if o.um == "debounce" and h.waits and not o.parent then
        h.next = job
    end
    return of.id
end

-- The options of a job that takes over what another is to do: where it waits
-- and who it is stay.
local function merged(o, own, priority, group)
    local all = {}
    for name, value in pairs(o) do
        all[name] = value
    end
    all.own, all.p, all.g = own or nil, tonumber(priority), group or nil
    return all
end

-- Takes a debounced job out of its place where its new due time or kind asks
-- for another; returns whether it has to be put into one.  `left` counts by
-- kind how many are ready no more.
local function leave_place(rec, job, due, left)
    if rec.state == "scheduled" then
        if not due then
            call("ZREM", scheduled, rec.id)
        end
        return true
    end
    if not due and rec.kind == job.kind then
        return false
    end
    if not unpark(rec.id, rec.kind) then
        if not due then -- it keeps its turn
            left[job.kind] = (left[job.kind] or 0) - 1
            left[rec.kind] = (left[rec.kind] or 0) + 1
            return false
        end
        -- Its id is dropped at its turn.
        left[rec.kind] = (left[rec.kind] or 0) + 1
    end
    return true
end

-- Empties the record of a debounced job for what the new one says.  A pod
-- whose lease on it had ended has no say over the new payload.
local function begin_next(rec)
    call("HDEL", rec.key, unpack(OLD_LIFE))
    if rec.pod and tonumber(rec.settled) ~= tonumber(rec.fence) then
        call("HDEL", rec.key, "pod")
    end
end

-- Deletes what is replaced, and changes what is debounced; `put` writes a job
-- {id, key, kind, payload, o, created} anew, and adds it to a place unless
-- `stays`.
local function unique_write(due_of, put)
    for _, rec in ipairs(replaced) do
        rec.unique = nil -- the new job takes the key over
        delete_job(rec)
    end
    if #replaced + n_dropped > 0 then
        call("HINCRBY", stats, "replaced", #replaced + n_dropped)
    end
    local left = {}
    for _, h in pairs(holders) do
        local rec, next = h.rec, h.next
        if rec and next then
            local due = due_of(next.o)
            local moves = leave_place(rec, next, due, left)
            begin_next(rec)
            put({
                id = rec.id, key = rec.key, kind = next.kind,
                payload = next.payload, created = rec.created_ms,
                o = merged(next.o, rec.own, rec.priority, rec.group),
                stays = not moves,
            }, due)
        elseif next then
            local job = h.job
            job.kind, job.payload = next.kind, next.payload
            job.o = merged(next.o, job.o.own, job.o.p, job.o.g)
        end
    end
    depth_add(left, -1)
end
