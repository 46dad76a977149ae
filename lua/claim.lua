#!lua flags=allow-oom
--[[
claim: lends ready jobs of one queue to a pod.
Higher priority first, inside one priority groups take turns.  On the way it
takes back a few ended leases, promotes due jobs, moves parked jobs that this
pod can run back, and parks those that it cannot.  No claim lifts the number
of running jobs over max_workers.  The lease ends by the server's clock.

KEYS     the queue's standing keys (_queue.lua)
KEYS[25] held     set     the pod's running jobs
ARGV[1]  pod      its id
ARGV[2]  limit    most jobs to lend, 1 to 256
ARGV[3]  ttl_ms   length of the lease
ARGV[4]  kinds    what the pod can run: ",noop.echo,py.*,"; ",!py.mail,"
         leaves one out for now
Returns  {"ok", now_ms, more, next_due_ms, max_workers, jobs}
         {"paused" | "cooling" | "full", ... the same, no jobs}
         a job is {id, fence, attempt, timeout_ms, {field, value, ...}}: its
         record as it was before
]]
-- @include queue
-- @include claim
local answer = claim({
    held = KEYS[STANDING + 1], pod = ARGV[1], limit = tonumber(ARGV[2]),
    ttl_ms = tonumber(ARGV[3]), kinds = ARGV[4],
}, now_ms(), call("HMGET", cfg, unpack(CLAIM_SETTINGS)))
tally_flush()
groups_flush()
return answer
