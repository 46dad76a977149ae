#!lua flags=allow-oom
--[[
retain: deletes done and dead jobs past the queue's retention, by age and by
count, for the leader.

KEYS     the queue's standing keys
ARGV[1]  epoch
Returns  {"ok", more, n_deleted, n_deleted_dead, 0}  {"epoch", newer}
]]
-- @include queue
-- @include now
-- @include epoch
-- @include delete
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local SLICE = 200
local now = now_ms()
local c = call("HMGET", cfg, "retain_done_ms", "retain_dead_ms",
               "retain_done_max")
local keep_done = set_default(c[1], 604800000)
local keep_dead = set_default(c[2], 2592000000)
local over = call("ZCARD", done) - set_default(c[3], 10000)

local function old_ones(key, keep_ms, n)
    return call("ZRANGE", key, "-inf", now - keep_ms, "BYSCORE", "LIMIT", 0, n)
end

local ids = old_ones(done, keep_done, SLICE)
if #ids < math.min(SLICE, over) then
    ids = call("ZRANGE", done, 0, math.min(SLICE, over) - 1)
end
local dead_ids = old_ones(dead, keep_dead, SLICE - #ids)
local more = #ids + #dead_ids == SLICE

-- A dead child stays while its batch waits, which may be told to run it again.
-- What goes by age has had its say: it stays in the tally as it ended.
local function must_stay(rec)
    if held_back(rec) then
        return true
    end
    local tally = rec.parent and tallies[rec.parent]
    local is_needed = tally and not tally.ended and rec.state == "dead"
    rec.parent, rec.children_stay = nil, true
    return is_needed
end

-- Deletes what the set names.  A chunk stays for as long as its parent does,
-- and must not stand in the way of what is behind it meanwhile.  The children
-- of a batch go by their own age.
local function delete_all(list, set, state)
    local recs, n = {}, 0
    for i, id in ipairs(list) do
        recs[i] = read(job_key(id), DELETE_FIELDS)
        recs[i].is_held_back = recs[i].kind and must_stay(recs[i])
    end
    for _, rec in ipairs(recs) do
        if rec.state ~= state then -- gone, or another job by now
            call("ZREM", set, rec.id)
        elseif rec.is_held_back then
            call("ZADD", set, "XX", now, rec.id) -- unless its parent took it
        elseif delete_job(rec) then
            n = n + 1
        else
            more = true
        end
    end
    return n
end

local n_done = delete_all(ids, done, "done")
local n_dead = delete_all(dead_ids, dead, "dead")
if n_done > 0 then
    call("HINCRBY", stats, "retained_done", n_done)
end
if n_dead > 0 then
    call("HINCRBY", stats, "retained_dead", n_dead)
end
return {"ok", more and 1 or 0, n_done + n_dead, n_dead, 0}
