#!lua flags=allow-oom
--[[
renew: keeps the leases of one pod in one queue, with what its handlers told.
Accepted with the current fence and pod also after the lease has ended, until
someone else claims (and while the caps have room for it again).  A job that
somebody wants cancelled answers "cancel"; the lease is kept meanwhile.

KEYS     the queue's standing keys
KEYS[25] held       set   the pod's running jobs
KEYS[26..]          hash  the jobs
ARGV[1]  pod
ARGV[2]  ttl_ms
ARGV[3]  complete   1: these are all jobs that the pod knows of
ARGV[4..] per job: fence, then a move (_move.lua): "0", or "1", seq, cursor,
         progress, sums, rejects ("<offset> <reason>\n" each)
Returns  {"ok", {index, "cancel" | "lost", ...}, {id, fence, ...}}
         what is not named is renewed; the second list are leases of this pod
         that the call did not mention (only if complete)
]]
-- @include queue
-- @include hear
-- @include settle
-- @include flush
local held = KEYS[STANDING + 1]
local pod, ttl_ms, complete = ARGV[1], tonumber(ARGV[2]), ARGV[3] == "1"
local FIELDS = {
    "state", "pod", "fence", "kind", "parent", "chunk", "seq", "sums",
    "attempts", "crashes", "settled", "cancel_requested", "group", "spared",
}

local now = now_ms()
hear(now, ttl_ms)

local recs, at, mentioned = {}, 4, {}
for i = STANDING + 2, #KEYS do
    local rec = read(KEYS[i], FIELDS)
    rec.index, rec.asked = i - STANDING - 1, tonumber(ARGV[at])
    rec.move, at = parse_move(at + 1)
    tally_know(rec.parent)
    if not mentioned[rec.id] then -- named twice: the first stands
        recs[#recs + 1] = rec
    end
    mentioned[rec.id] = true
end
local c = call("HMGET", cfg, "max_workers", "group_max")
local room = set_default(c[1], 1) - call("ZCARD", leases)
local group_max = set_default(c[2], 0)

-- May a job that was taken back run again?
local function has_room(rec)
    if room <= 0 or group_max == 0 or not rec.group then
        return room > 0
    end
    local n = set_default(call("HGET", running, rec.group), 0)
    return n + (group_adds[rec.group] or 0) < group_max
end

local function lend_again(rec)
    undo_reclaim(rec)
    call("HSET", rec.key, "state", "running")
    call("SADD", held, rec.id)
    tally_move(rec.parent, "ready", "running")
    group_add(rec.group, 1)
    room = room - 1
end

local told, ends, n_lost = {}, {}, 0
for _, rec in ipairs(recs) do
    local word = standing(rec, pod, rec.asked)
    local is_mine = word == "run" and (rec.state or has_room(rec))
    if is_mine then
        if not rec.state then
            lend_again(rec)
        end
        apply_move(rec, rec.move)
        ends[#ends + 1] = now + ttl_ms
        ends[#ends + 1] = rec.id
        if rec.cancel_requested or is_stopping(rec.parent) then
            told[#told + 1] = rec.index
            told[#told + 1] = "cancel"
        end
    else
        told[#told + 1] = rec.index
        told[#told + 1] = "lost"
        -- Its own finish or release, whose answer it has not heard yet, is
        -- nobody's stale write.
        n_lost = n_lost + (word == "ok" and 0 or 1)
    end
end
if #ends > 0 then
    call("ZADD", leases, unpack(ends))
end
if n_lost > 0 then
    call("HINCRBY", stats, "stale", n_lost)
end

local unmentioned = {}
if complete and call("SCARD", held) > #ends / 2 then
    for _, id in ipairs(call("SMEMBERS", held)) do
        if not mentioned[id] then
            local rec = read(job_key(id), {"state", "pod", "fence"})
            if rec.state == "running" and rec.pod == pod then
                unmentioned[#unmentioned + 1] = id
                unmentioned[#unmentioned + 1] = tonumber(rec.fence)
            else
                call("SREM", held, id) -- of no lease
            end
        end
    end
end
tally_flush()
groups_flush()
return {"ok", told, unmentioned}
