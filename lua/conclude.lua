#!lua flags=allow-oom
--[[
conclude: ends a waiting parent, for the leader.

KEYS     the queue's standing keys
KEYS[25] parent  hash
KEYS[26] tally   hash  the parent's
ARGV[1]  epoch
ARGV[2]  outcome  "done" or "dead"
ARGV[3]  text     done: the result, msgpack; dead: the error
Returns  {"ok"}  {"unknown"}  {"state", state}  {"epoch", newer}
         {"chunks", n}: so many are ready or running still
]]
-- @include queue
-- @include now
-- @include epoch
-- @include end
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local rec = read(KEYS[STANDING + 1], {
    "kind", "state", "unique", "parent", "cancel_requested",
})
if not rec.kind then
    return {"unknown"}
end
if rec.state ~= "waiting" then
    return {"state", rec.state or "ready"}
end
local t = call("HMGET", KEYS[STANDING + 2], "ready", "running")
local open = set_default(t[1], 0) + set_default(t[2], 0)
if open > 0 then
    return {"chunks", open}
end
local now = now_ms()
call("ZREM", waiting, rec.id)
call("HDEL", rec.key, "cancel_requested")
if ARGV[2] == "done" then
    call("HSET", rec.key, "state", "done", "finished_ms", now, "result",
         ARGV[3], "phase", "done")
    call("HDEL", rec.key, "error")
    call("ZADD", done, now, rec.id)
    call("HINCRBY", stats, "done", 1)
    release_unique(rec)
    event(now, "done", rec.id, rec.kind, "")
else
    call("HSET", rec.key, "phase", "dead")
    if rec.cancel_requested then
        call("HINCRBY", stats, "cancelled", 1)
    end
    end_dead(rec, now, ARGV[3], "waiting")
end
return {"ok"}
