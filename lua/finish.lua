#!lua flags=allow-oom
--[[
finish: commits how jobs ended, and claims the next ones in the same step.
An outcome is committed once: a call that is repeated answers ok and changes
nothing; what shows an old fence or another pod is refused and counted.

KEYS     the queue's standing keys
KEYS[24] held      set   the pod's running jobs
KEYS[25..]         hash  the jobs
ARGV[1]  pod
ARGV[2]  limit     jobs to claim then, 0 for none
ARGV[3]  ttl_ms    of the claim
ARGV[4]  kinds     of the claim
ARGV[5..] per job: fence, outcome ("done" "failed" "dead" "cancelled"
         "throttled"), text (done: the result; else: the error), delay_ms,
         then a move (_move.lua)
Returns  {"ok", {index, "gone" | "stale", ...}, claim}
         what is not named took effect, now or in an earlier call;
         claim: what claim.lua returns, or {} for limit 0
]]
-- @include queue
-- @include claim
-- @include settle
local held = KEYS[STANDING + 1]
local pod, limit = ARGV[1], tonumber(ARGV[2])
local FIELDS = {
    "kind", "state", "pod", "fence", "parent", "own", "unique", "settled",
    "cancel_requested",
}
-- What only some outcomes need.
local MORE = {
    "chunk", "seq", "sums", "attempts", "crashes", "max_attempts", "errors",
    "priority", "group",
}

local now = now_ms()
local recs, at = {}, 5
for i = STANDING + 2, #KEYS do
    local rec = read(KEYS[i], FIELDS)
    rec.asked, rec.outcome = tonumber(ARGV[at]), ARGV[at + 1]
    rec.text, rec.delay = ARGV[at + 2], tonumber(ARGV[at + 3])
    rec.move, at = parse_move(at + 4)
    if rec.parent or rec.move or rec.outcome ~= "done" then
        for name, value in pairs(read(rec.key, MORE)) do
            rec[name] = value
        end
        tally_know(rec.parent)
    end
    recs[#recs + 1] = rec
end
local c = call("HMGET", cfg, "retain_done_max", "retain_done_ms",
               "max_attempts", "backoff_enabled", "backoff_base_ms",
               "backoff_max_ms")
local keep_done = c[1] ~= "0" and c[2] ~= "0"
local was_full = call("ZCARD", leases) >=
                 set_default(call("HGET", cfg, "max_workers"), 1)

local counts, gone, deleted, kept, back = {}, {}, {}, {}, {}
local due = {}

local function count(name)
    counts[name] = (counts[name] or 0) + 1
end

local function end_done(rec, from)
    count("done")
    tally_move(rec.parent, from, "done")
    release_unique(rec)
    if rec.parent then
        call("SETBIT", base .. "bits:" .. rec.parent, rec.chunk, 1)
        deleted[#deleted + 1] = rec.key
    elseif keep_done then
        if rec.text == "" then
            call("HSET", rec.key, "state", "done", "finished_ms", now)
        else
            call("HSET", rec.key, "state", "done", "finished_ms", now,
                 "result", rec.text)
        end
        kept[#kept + 1] = now
        kept[#kept + 1] = rec.id
    elseif rec.own then
        forget(rec, now)
    else
        deleted[#deleted + 1] = rec.key
    end
end

-- Half to all of the delay, at random, so that what failed together does not
-- come back together.  Redis seeds math.random alike in every call.
local function jitter(rec, delay)
    local digits = string.sub(redis.sha1hex(rec.id .. now), 1, 6)
    return math.floor(delay * (0.5 + tonumber(digits, 16) / 0x1000000 / 2))
end

local function end_failed(rec, from)
    local attempts = set_default(rec.attempts, 1)
    local most = tonumber(rec.max_attempts) or set_default(c[3], 5)
    count("failed")
    call("HSET", rec.key, "errors", add_error(rec, now, rec.text))
    if attempts >= most then
        return end_dead(rec, now, rec.text, from, rec.asked)
    end
    tally_move(rec.parent, from, "ready")
    if c[4] == "0" then
        call("HDEL", rec.key, "state")
        call("HSET", rec.key, "error", rec.text, "ready_ms", now, "settled",
             rec.asked)
        back[#back + 1] = {
            rec.id, rec.priority or 5, rec.group or "-", rec.kind,
        }
        return
    end
    local delay = math.min(set_default(c[5], 5000) * 2 ^ (attempts - 1),
                           set_default(c[6], 1800000))
    local at_ms = now + jitter(rec, delay)
    call("HSET", rec.key, "state", "scheduled", "due_ms", at_ms, "error",
         rec.text, "settled", rec.asked)
    due[#due + 1] = at_ms
    due[#due + 1] = rec.id
end

local function apply(rec)
    local from = take_out(rec, held, gone)
    apply_move(rec, rec.move)
    if rec.outcome == "done" then
        end_done(rec, from)
    elseif rec.outcome == "cancelled" then
        count("cancelled")
        end_dead(rec, now, "cancelled by user", from, rec.asked)
    elseif rec.cancel_requested then
        count("cancelled")
        end_dead(rec, now, "cancelled by user", from, rec.asked)
    elseif rec.outcome == "dead" then
        call("HSET", rec.key, "errors", add_error(rec, now, rec.text))
        end_dead(rec, now, rec.text, from, rec.asked)
    else
        end_failed(rec, from)
    end
end

local told = {}
for i, rec in ipairs(recs) do
    local word = standing(rec, pod, rec.asked)
    if word == "run" then
        apply(rec)
    elseif word ~= "ok" then
        told[#told + 1] = i
        told[#told + 1] = word
        if word == "stale" then
            count("stale")
        end
    end
end
drop_leases(held, gone)
if #deleted > 0 then
    call("UNLINK", unpack(deleted))
end
if #kept > 0 then
    call("ZADD", done, unpack(kept))
end
if #due > 0 then
    call("ZADD", scheduled, unpack(due))
    wake_one()
end
if #back > 0 then
    push_ready(back)
    wake_one()
end
for name, n in pairs(counts) do
    call("HINCRBY", stats, name, n)
end
if was_full and #gone > 0 and call("EXISTS", depth) == 1 then
    wake_one()
end
local next_jobs = {}
if limit > 0 then
    next_jobs = claim({
        held = held, pod = pod, limit = limit, ttl_ms = tonumber(ARGV[3]),
        kinds = ARGV[4],
    }, now)
else
    hear(now)
end
tally_flush()
return {"ok", told, next_jobs}
