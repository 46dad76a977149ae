#!lua flags=allow-oom
--[[
children: cancels, or makes ready again, a parent's chunks, a step at a time,
for the leader.  A running chunk is only told; its pod hears it at its next
renewal.

KEYS     the queue's standing keys
KEYS[25] parent  hash
KEYS[26] tally   hash    the parent's
KEYS[27] bits    bitmap  the parent's
ARGV[1]  epoch
ARGV[2]  verb    "stop": ready ones end as dead, running ones are told
                 "revive": dead ones are ready again, attempts anew
ARGV[3]  from    first number to look at
Returns  {"ok", next_from (-1 at the end), n_changed}
         {"unknown"}  {"state", state}  {"epoch", newer}
]]
-- @include queue
-- @include now
-- @include epoch
-- @include again
-- @include park
-- @include children
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local verb, from = ARGV[2], tonumber(ARGV[3])
local parent_id = id_of(KEYS[STANDING + 1])
local p = call("HMGET", KEYS[STANDING + 1], "kind", "state")
if not p[1] then
    return {"unknown"}
end
if p[2] ~= "waiting" then
    return {"state", p[2] or "ready"}
end
local planned = set_default(call("HGET", KEYS[STANDING + 2], "planned"), 0)
local open, next_from = open_chunks(KEYS[STANDING + 3], planned, from, 400)
tally_know(parent_id)
local recs = {}
for i, n in ipairs(open) do
    recs[i] = read(job_key(parent_id .. "." .. n), {
        "kind", "state", "parent", "priority", "group", "unique", "fence",
    })
end

local now, n_changed, back = now_ms(), 0, {}
local function stop(rec)
    if rec.state == "running" then
        return call("HSET", rec.key, "cancel_requested", 1)
    end
    if rec.state == "scheduled" then
        call("ZREM", scheduled, rec.id)
    elseif not unpark(rec.id, rec.kind) then
        depth_add({[rec.kind] = 1}, -1)
    end
    end_dead(rec, now, "cancelled with its parent", "ready")
end

local function revive(rec)
    call("ZREM", dead, rec.id)
    begin_again(rec)
    call("HSET", rec.key, "ready_ms", now)
    tally_move(parent_id, "dead", "ready")
    back[#back + 1] = {
        rec.id, rec.priority or 5, rec.group or "-", rec.kind,
    }
end

for _, rec in ipairs(recs) do
    if rec.kind and verb == "stop" and rec.state ~= "dead" then
        stop(rec)
        n_changed = n_changed + 1
    elseif rec.kind and verb == "revive" and rec.state == "dead" then
        revive(rec)
        n_changed = n_changed + 1
    end
end
if #back > 0 then
    push_ready(back)
    wake_one()
end
tally_flush()
return {"ok", next_from, n_changed}
