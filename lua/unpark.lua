#!lua flags=allow-oom
--[[
unpark: looks after parked jobs, for the leader.  Pods are woken where somebody
can run them: the claim of a pod that can moves as many back as it has room
for.  (They are not moved here: while those pods are busy, others would claim
and park them over and over.)  Jobs of a kind that nobody could run for ten
minutes end as dead; a pod that is there for a moment starts the ten minutes
anew, because in a rolling deployment the next one is on its way.

KEYS     the queue's standing keys
ARGV[1]  epoch
ARGV[2]  kinds  all that the queue's live pods can run: ",noop.echo,py.*,"
Returns  {"ok", more, n_kinds, n_dead, 0}: n_kinds of those looked at can be
         run
         {"epoch", newer}
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
local LIMIT, PATIENCE_MS = 50, 600000
local now, memo = now_ms(), {}

-- Ends the jobs of a kind that waited too long, of its oldest `most`; how many.
local function end_old(kind, most)
    local ids = call("ZRANGE", base .. "parked:" .. kind, 0, most - 1)
    if #ids == 0 then
        call("SREM", parked_kinds, kind)
        return 0
    end
    local since, n = call("ZMSCORE", parked, unpack(ids)), 0
    for i, id in ipairs(ids) do
        if (tonumber(since[i]) or 0) <= now - PATIENCE_MS then
            local rec = read(job_key(id), {
                "kind", "state", "parent", "unique",
            })
            tally_know(rec.parent)
            unpark(id, kind)
            if rec.kind == kind and not rec.state then
                end_dead(rec, now, "no handler: no pod of this queue runs " ..
                         "the kind '" .. kind .. "'", "ready")
                n = n + 1
            end
        end
    end
    return n
end

-- What was parked and has no kind's place any more leads nowhere.
local function drop_strays()
    for _, id in ipairs(call("ZRANGE", parked, 0, 9)) do
        local kind = call_on_record("HMGET", job_key(id), "kind")[1]
        if not kind or
           not call("ZSCORE", base .. "parked:" .. kind, id) then
            call("ZREM", parked, id)
        end
    end
end

if call("EXISTS", parked) == 0 then
    return {"ok", 0, 0, 0, 0}
end
local n_kinds, n_dead = 0, 0
for _, kind in ipairs(call("SRANDMEMBER", parked_kinds, 16)) do
    local handled = base .. "handled:" .. kind
    if handles(ARGV[2], kind, memo) then
        call("SET", handled, "1", "PX", PATIENCE_MS)
        n_kinds = n_kinds + 1
    elseif n_dead < LIMIT and call("EXISTS", handled) == 0 then
        n_dead = n_dead + end_old(kind, LIMIT - n_dead)
    end
end
drop_strays()
if n_kinds > 0 then
    wake_all()
end
tally_flush()
return {"ok", n_dead == LIMIT and 1 or 0, n_kinds, n_dead, 0}
