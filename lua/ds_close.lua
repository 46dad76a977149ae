#!lua flags=allow-oom
--[[
ds_close: tells a shard that an import has ended, or goes on again.
From then on every batch of it is refused, whatever its fence: a worker that
wakes after the end must not put old documents over newer ones.  A dead import
may be tried again, so its fences stay; a done one needs only the mark.

KEYS[1]  meta    hash    epoch, state
KEYS[2]  fence   hash    chunk -> newest fence; closed: the import has ended
ARGV[1]  epoch   of the leader that asks
ARGV[2]  how     "done", "dead" or "reopen"
Returns  {"ok"};  {"stale", epoch}  a newer leader was here
]]
local meta, fences = KEYS[1], KEYS[2]
local epoch, how = tonumber(ARGV[1]), ARGV[2]
local mark_ttl_ms = 604800000 -- 7 days: no worker is frozen for longer

local seen = redis.call("HGET", meta, "epoch")
if seen and tonumber(seen) > epoch then
    return {"stale", tonumber(seen)}
end
if how == "reopen" then
    redis.call("HDEL", fences, "closed")
    return {"ok"}
end
if how == "done" then
    redis.call("UNLINK", fences)
end
redis.call("HSET", fences, "closed", how)
redis.call("PEXPIRE", fences, mark_ttl_ms)
return {"ok"}
