#!lua flags=allow-oom
--[[
renew: keeps the leases of one pod in one queue, with what its handlers told.
Accepted with the current fence and pod also after the lease has ended, until
someone else claims (and while the cap has room for it again).  A job that
somebody wants cancelled answers "cancel"; the lease is kept meanwhile.

KEYS     the queue's standing keys
KEYS[24] held       set   the pod's running jobs
KEYS[25..]          hash  the jobs
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
-- @include end
-- @include ready
-- @include move
-- @include park
local held = KEYS[STANDING + 1]
local pod, ttl_ms, complete = ARGV[1], tonumber(ARGV[2]), ARGV[3] == "1"
local FIELDS = {
    "state", "pod", "fence", "kind", "parent", "chunk", "seq", "sums",
    "attempts", "crashes", "settled", "cancel_requested",
}

local now = now_ms()
hear(now, ttl_ms)

local recs, at = {}, 4
for i = STANDING + 2, #KEYS do
    local rec = read(KEYS[i], FIELDS)
    rec.asked = tonumber(ARGV[at])
    rec.move, at = parse_move(at + 1)
    tally_know(rec.parent)
    recs[#recs + 1] = rec
end
local room = set_default(call("HGET", cfg, "max_workers"), 1)
             - call("ZCARD", leases)

-- Its lease had ended and it was taken back, but nobody else has claimed it.
local function is_taken_back(rec)
    return not rec.state and not rec.settled_now and room > 0
end

local function lend_again(rec)
    local crashes = set_default(rec.crashes, 0)
    call("HSET", rec.key, "state", "running", "attempts",
         set_default(rec.attempts, 0) + 1, "crashes", math.max(0, crashes - 1))
    rec.crashes = tostring(math.max(0, crashes - 1))
    rec.attempts = set_default(rec.attempts, 0) + 1
    if not unpark(rec.id, rec.kind) then
        depth_add({[rec.kind] = 1}, -1)
    end
    call("SADD", held, rec.id)
    tally_move(rec.parent, "ready", "running")
    room = room - 1
end

local told, ends, n_lost, mentioned = {}, {}, 0, {}
for i, rec in ipairs(recs) do
    local mine = rec.pod == pod and tonumber(rec.fence) == rec.asked
    rec.settled_now = rec.settled and tonumber(rec.settled) == rec.asked
    mentioned[rec.id] = true
    if mine and is_taken_back(rec) then
        lend_again(rec)
        rec.state = "running"
    end
    if mine and rec.state == "running" then
        apply_move(rec, rec.move)
        ends[#ends + 1] = now + ttl_ms
        ends[#ends + 1] = rec.id
        if rec.cancel_requested then
            told[#told + 1] = i
            told[#told + 1] = "cancel"
        end
    else
        told[#told + 1] = i
        told[#told + 1] = "lost"
        n_lost = n_lost + 1
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
            unmentioned[#unmentioned + 1] = id
            unmentioned[#unmentioned + 1] =
                tonumber(call("HGET", job_key(id), "fence")) or 0
        end
    end
end
tally_flush()
return {"ok", told, unmentioned}
