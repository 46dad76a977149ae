#!lua
--[[
cron_trigger: notes a job that somebody is about to enqueue by hand, so that
slots are skipped while it runs, where the schedule says so.

KEYS[1]  schedule  hash
ARGV[1]  id        of the job
ARGV[2]  queue
Returns  {"ok"}  {"unknown"}
]]
-- @include now
local call = redis.call
if call("HEXISTS", KEYS[1], "version") == 0 then
    return {"unknown"}
end
call("HSET", KEYS[1], "trigger_id", ARGV[1], "trigger_queue", ARGV[2],
     "trigger_ms", now_ms())
return {"ok"}
