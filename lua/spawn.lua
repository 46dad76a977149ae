#!lua
--[[
spawn: makes a parent's next chunks, for the leader.
Names the first number and is refused unless it equals the parent's `planned`,
so that a second planner adds nothing twice.  Refused by Redis at maxmemory.

KEYS     the queue's standing keys
KEYS[25] parent  hash
KEYS[26] tally   hash  the parent's
ARGV[1]  epoch
ARGV[2]  first
ARGV[3]  kind    of the chunks
ARGV[4]  plan    the parent's new plan, msgpack
ARGV[5..] payloads, at most 200, may be none
Returns  {"ok", planned}  {"planned", planned}  {"unknown"}
         {"state", state}  {"epoch", newer}
]]
-- @include queue
-- @include now
-- @include epoch
-- @include ready
local parent, tally = KEYS[STANDING + 1], KEYS[STANDING + 2]
local first, kind, plan = tonumber(ARGV[2]), ARGV[3], ARGV[4]
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local p = call("HMGET", parent, "kind", "state", "priority", "max_attempts",
               "timeout_ms", "cancel_requested")
if not p[1] then
    return {"unknown"}
end
if p[2] ~= "waiting" or p[6] then
    return {"state", p[6] and "cancelling" or p[2] or "ready"}
end
local planned = tonumber(call("HGET", tally, "planned")) or 0
if planned ~= first then
    return {"planned", planned}
end

local now, parent_id = now_ms(), id_of(parent)
local jobs = {}
local n = #ARGV - 4
for i = 1, n do
    local id = parent_id .. "." .. (first + i - 1)
    local set = {
        "kind", kind, "payload", ARGV[4 + i], "created_ms", now, "parent",
        parent_id, "chunk", first + i - 1, "group", parent_id,
    }
    for j, name in ipairs({"priority", "max_attempts", "timeout_ms"}) do
        if p[j + 2] then
            set[#set + 1] = name
            set[#set + 1] = p[j + 2]
        end
    end
    call("HSET", job_key(id), unpack(set))
    jobs[i] = {id, p[3] or 5, parent_id, kind}
end
call("HSET", parent, "plan", plan)
if n > 0 then
    call("HINCRBY", tally, "planned", n)
    call("HINCRBY", tally, "ready", n)
    call("HINCRBY", stats, "enqueued", n)
    push_ready(jobs)
    wake_one()
end
return {"ok", planned + n}
