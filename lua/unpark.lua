#!lua flags=allow-oom
--[[
unpark: moves parked jobs back that somebody can run now; those that nobody
could for ten minutes end as dead, for the leader.

KEYS     the queue's standing keys
ARGV[1]  epoch
ARGV[2]  kinds  all that the queue's live pods can run: ",noop.echo,py.*,"
Returns  {"ok", more, n_moved, n_dead, 0}  {"epoch", newer}
]]
-- @include queue
-- @include now
-- @include epoch
-- @include park
-- @include flush
local newer = newer_epoch(tonumber(ARGV[1]))
if newer then
    return {"epoch", newer}
end
local LIMIT, PATIENCE_MS = 100, 600000
if call("EXISTS", parked) == 0 then
    return {"ok", 0, 0, 0, 0}
end
local now, memo = now_ms(), {}
local n = unpark_handled(ARGV[2], LIMIT, memo)
if n > 0 then
    wake_one()
end
local n_dead = 0
local old = call("ZRANGE", parked, "-inf", now - PATIENCE_MS, "BYSCORE",
                 "LIMIT", 0, LIMIT)
for _, id in ipairs(old) do
    local rec = read(job_key(id), {"kind", "state", "parent", "unique"})
    if not rec.kind then
        call("ZREM", parked, id)
    elseif rec.state then
        unpark(id, rec.kind)
    elseif not handles(ARGV[2], rec.kind, memo) then
        tally_know(rec.parent)
        unpark(id, rec.kind)
        end_dead(rec, now, "no handler: no pod of this queue runs the kind '"
                 .. rec.kind .. "'", "ready")
        n_dead = n_dead + 1
    end
end
tally_flush()
return {"ok", (n == LIMIT or n_dead == LIMIT) and 1 or 0, n, n_dead, 0}
