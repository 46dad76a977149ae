-- Walks all keys of a queue and returns what does not fit together.
--
-- KEYS[1]  the queue's cfg;  ARGV[1]  1: the caps were never lowered
local call = redis.call
local base = string.sub(KEYS[1], 1, -4)
local wrong = {}
local function bad(...)
    wrong[#wrong + 1] = table.concat({...}, " ")
end

local function key(...)
    return base .. table.concat({...})
end

local jobs, parents = {}, {}
for _, k in ipairs(call("KEYS", base .. "job:*")) do
    local id = string.sub(k, #base + 5)
    local rec, flat = {}, call("HGETALL", k)
    for i = 1, #flat, 2 do
        rec[flat[i]] = flat[i + 1]
    end
    jobs[id] = rec
    if not rec.kind then
        bad("job", id, "has no kind")
    end
end

-- Every sorted set names jobs of its state alone, and every job is in its own.
local places = {
    scheduled = "scheduled", running = "leases", waiting = "waiting",
    done = "done", dead = "dead",
}
for state, name in pairs(places) do
    local n = 0
    for _, id in ipairs(call("ZRANGE", base .. name, 0, -1)) do
        n = n + 1
        if not jobs[id] then
            bad(name, "names", id, "which has no record")
        elseif (jobs[id].state or "ready") ~= state then
            bad(name, "names", id, "which is", jobs[id].state or "ready")
        end
    end
    for _, rec in pairs(jobs) do
        n = n - (rec.state == state and 1 or 0)
    end
    if n ~= 0 then
        bad(name, "differs by", n, "from the jobs of state", state)
    end
end

-- Parked jobs are in both places and not counted as ready.
local parked, n_parked = {}, 0
for _, id in ipairs(call("ZRANGE", key("parked"), 0, -1)) do
    parked[id] = true
    local rec = jobs[id]
    if not rec or rec.state then
        bad("parked names", id, "which is not ready")
    elseif not call("ZSCORE", key("parked:", rec.kind), id) then
        bad(id, "is not parked by its kind")
    end
end
for _, kind in ipairs(call("SMEMBERS", key("parked_kinds"))) do
    n_parked = n_parked + call("ZCARD", key("parked:", kind))
    if call("EXISTS", key("parked:", kind)) == 0 then
        bad("parked_kinds names", kind, "in vain")
    end
end
if n_parked ~= call("ZCARD", key("parked")) then
    bad("parked and parked by kind differ")
end

-- A group is in its ring once, and exactly while its list is not empty.
local in_list, lists = {}, {}
for p = 0, 9 do
    local ring = {}
    for _, group in ipairs(call("LRANGE", key("ring:", p), 0, -1)) do
        if ring[group] then
            bad("ring", p, "names group", group, "twice")
        end
        ring[group] = true
        local list = key("ready:", p, ":", group)
        lists[list] = true
        local ids = call("LRANGE", list, 0, -1)
        if #ids == 0 then
            bad("ring", p, "names group", group, "which is empty")
        end
        for _, id in ipairs(ids) do
            in_list[list .. "/" .. id] = true
        end
    end
end
for _, k in ipairs(call("KEYS", base .. "ready:*")) do
    if not lists[k] then
        bad(k, "is in no ring")
    end
end

-- Ready jobs are in a list or parked; depth counts those in lists.
local depth, total = {}, 0
for id, rec in pairs(jobs) do
    if not rec.state and not parked[id] then
        depth[rec.kind] = (depth[rec.kind] or 0) + 1
        total = total + 1
        local list = key("ready:", rec.priority or 5, ":", rec.group or "-")
        if not in_list[list .. "/" .. id] then
            bad(id, "is ready and not in", list)
        end
    end
end
depth["-"] = total
local said, flat = {}, call("HGETALL", key("depth"))
for i = 1, #flat, 2 do
    said[flat[i]] = tonumber(flat[i + 1])
end
for kind, n in pairs(depth) do
    if (said[kind] or 0) ~= n then
        bad("depth of", kind, "is", said[kind] or 0, "not", n)
    end
end
for kind, n in pairs(said) do
    if not depth[kind] and n ~= 0 then
        bad("depth of", kind, "is", n, "and there is none")
    end
end

-- Running jobs are held by their pod, and nothing else is held.
local held = 0
for _, k in ipairs(call("KEYS", base .. "held:*")) do
    local pod = string.sub(k, #base + 6)
    for _, id in ipairs(call("SMEMBERS", k)) do
        held = held + 1
        if not jobs[id] or jobs[id].state ~= "running" or
           jobs[id].pod ~= pod then
            bad(pod, "holds", id, "in vain")
        end
    end
end
local groups = {}
for _, rec in pairs(jobs) do
    if rec.state == "running" and rec.group then
        groups[rec.group] = (groups[rec.group] or 0) + 1
    end
end
local group_max = tonumber(call("HGET", KEYS[1], "group_max")) or 0
for group, n in pairs(groups) do
    if ARGV[1] == "1" and group_max > 0 and n > group_max then
        bad(n, "of group", group, "run and group_max is", group_max)
    end
end
local counted = call("HGETALL", key("running"))
for i = 1, #counted, 2 do
    if tonumber(counted[i + 1]) ~= (groups[counted[i]] or 0) then
        bad(counted[i + 1], "of group", counted[i], "run, they say, not",
            groups[counted[i]] or 0)
    end
    groups[counted[i]] = nil
end
for group in pairs(groups) do
    bad("of group", group, "some run and are not counted")
end
local running = call("ZCARD", key("leases"))
if held ~= running then
    bad(held, "are held and", running, "run")
end
local cap = tonumber(call("HGET", KEYS[1], "max_workers")) or 1
if ARGV[1] == "1" and running > cap then
    bad(running, "run and max_workers is", cap)
end

-- Each child has one place in its parent's tally.  Of those that have ended
-- a batch's tally can count more than there are records.
local PLACE = {running = "running", done = "done", dead = "dead"}
for id, rec in pairs(jobs) do
    local t = rec.parent
    if t and jobs[t] then
        parents[t] = parents[t] or {}
        local place = PLACE[rec.state] or "ready"
        parents[t][place] = (parents[t][place] or 0) + 1
    end
end
for _, k in ipairs(call("KEYS", base .. "tally:*")) do
    local parent = string.sub(k, #base + 7)
    local count = parents[parent] or {}
    local is_batch = call("HEXISTS", k, "batch") == 1
    local n_records = count.done or 0
    count.done = call("BITCOUNT", key("bits:", parent))
    if n_records > count.done then
        bad("of", parent, n_records, "are done and", count.done, "have a bit")
    end
    local sum = 0
    for _, place in ipairs({"ready", "running", "done", "dead", "deleted"}) do
        local says = tonumber(call("HGET", k, place)) or 0
        local is = count[place] or 0
        local more = is_batch and (place == "dead" or place == "deleted")
        sum = sum + says
        if says ~= is and not (more and says > is) then
            bad("tally of", parent, "has", says, place, "not", is)
        end
    end
    if not jobs[parent] then
        bad("tally of", parent, "has outlived it")
    elseif sum ~= (tonumber(call("HGET", k, "planned")) or 0) then
        bad("tally of", parent, "does not add up")
    end
    local t = call("HMGET", k, "ended", "sealed", "stopping", "reviving")
    local is_over = jobs[parent] and jobs[parent].state ~= "waiting"
    if is_batch and (t[1] == "1") ~= (is_over or false) then
        bad(parent, "is", jobs[parent].state, "and its tally says ended", t[1])
    elseif is_batch and not is_over and (t[2] or t[3]) and not t[4] and
           (count.ready or 0) + (count.running or 0) == 0 then
        bad(parent, "waits for nothing")
    end
end
for _, parent in ipairs(call("SMEMBERS", key("sweeps"))) do
    local t = call("HMGET", key("tally:", parent), "stopping", "reviving")
    if not t[1] and not t[2] then
        bad("sweeps names", parent, "in vain")
    end
end
for _, what in ipairs({"bits:", "rejects:"}) do
    for _, k in ipairs(call("KEYS", base .. what .. "*")) do
        if not jobs[string.sub(k, #base + #what + 1)] then
            bad(k, "has outlived its parent")
        end
    end
end

-- A unique key names a job that has not ended.
for _, k in ipairs(call("KEYS", base .. "unique:*")) do
    local rec = jobs[call("GET", k)]
    if not rec or rec.state == "done" or rec.state == "dead" then
        bad(k, "names a job that has ended")
    end
end
if call("LLEN", key("wake")) > 16 then
    bad("wake holds more than 16 tokens")
end
return wrong
