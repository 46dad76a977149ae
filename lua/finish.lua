#!lua flags=allow-oom
--[[
finish: commits how jobs ended, and claims the next ones in the same step.
An outcome is committed once: a call that is repeated answers ok and changes
nothing; what shows an old fence or another pod is refused and counted.

KEYS     the queue's standing keys
KEYS[25] held      set   the pod's running jobs
KEYS[26..]         hash  the jobs
ARGV[1]  pod
ARGV[2]  limit     jobs to claim then, 0 for none
ARGV[3]  ttl_ms    of the claim
ARGV[4]  kinds     of the claim
ARGV[5..] per job: fence, outcome ("done" "failed" "dead" "cancelled"
         "throttled"), text (done: the result; else: the error), a number
         (throttled chunks: how many ms it stays away; failed: the kind's
         max_attempts as the worker has it, 0 for none), then a move
         (_move.lua)
Returns  {"ok", {index, "gone" | "stale", ...}, claim}
         what is not named took effect, now or in an earlier call;
         claim: what claim.lua returns, or {} for limit 0
]]
-- @include queue
-- @include claim
-- @include settle
-- @include throttle
local held = KEYS[STANDING + 1]
local pod, limit = ARGV[1], tonumber(ARGV[2])
local FIELDS = {
    "kind", "state", "pod", "fence", "parent", "own", "unique", "settled",
    "cancel_requested", "chunk", "seq", "sums", "attempts", "crashes",
    "max_attempts", "errors", "priority", "group", "throttles", "spared",
}

local now = now_ms()
-- The first are CLAIM_SETTINGS.
local c = call("HMGET", cfg, "max_workers", "paused", "timeout_ms",
               "group_max", "retain_done_max", "retain_done_ms")
local keep_done = c[5] ~= "0" and c[6] ~= "0"
local was_full = limit == 0 and
                 (call("ZCARD", leases) >= set_default(c[1], 1) or
                  set_default(c[4], 0) > 0)

-- Most jobs are plain: alone, done by whom they were lent to.  They are only
-- gathered here, and what they have to say about the job is not read.
local recs, plain, seen, at, gone, deleted, kept = {}, {}, {}, 5, {}, {}, {}
for i = STANDING + 2, #KEYS do
    local key = KEYS[i]
    local v = call_on_record("HMGET", key, "state", "pod", "fence", "parent",
                             "own", "unique", "group")
    if v[1] == "running" and v[2] == pod and v[3] == ARGV[at] and
       ARGV[at + 1] == "done" and ARGV[at + 4] == "0" and
       not (v[4] or v[5] or v[6] or seen[key]) then
        plain[#plain + 1] = key
        plain[#plain + 1] = ARGV[at + 2]
        gone[#gone + 1] = id_of(key)
        group_add(v[7], -1)
        at = at + 5
    else
        local rec = read(key, FIELDS)
        rec.index, rec.asked = i - STANDING - 1, tonumber(ARGV[at])
        rec.outcome, rec.text = ARGV[at + 1], ARGV[at + 2]
        rec.number = tonumber(ARGV[at + 3])
        rec.move, at = parse_move(at + 4)
        tally_know(rec.parent)
        if not seen[key] then -- named twice: the first stands
            recs[#recs + 1] = rec
        end
    end
    seen[key] = true
end

local counts, back, due, backoff = {}, {}, {}, nil
local function count(name, n)
    counts[name] = (counts[name] or 0) + (n or 1)
end

-- What only failures and throttles ask for.
local function backoff_settings()
    backoff = backoff or call("HMGET", cfg, "backoff_enabled",
                              "backoff_base_ms", "backoff_max_ms",
                              "max_attempts")
    return backoff
end

local now_text = string.format("%.0f", now)
local function keep(key, id, result)
    if result == "" then
        call("HSET", key, "state", "done", "finished_ms", now_text)
    else
        call("HSET", key, "state", "done", "finished_ms", now_text, "result",
             result)
    end
    kept[#kept + 1] = now_text
    kept[#kept + 1] = id
end

local function end_done(rec, from)
    count("done")
    tally_move(rec.parent, from, "done")
    release_unique(rec)
    if rec.parent and tallies[rec.parent] then
        call("SETBIT", base .. "bits:" .. rec.parent, rec.chunk, 1)
    end
    if rec.parent and not is_of_batch(rec.parent) then
        deleted[#deleted + 1] = rec.key -- a chunk: its bit tells enough
    elseif keep_done then
        keep(rec.key, rec.id, rec.text)
    else
        forget(rec)
    end
end

-- Half to all of the delay, at random, so that what failed together does not
-- come back together.  Redis seeds math.random alike in every call.
local function jitter(rec, delay)
    local digits = string.sub(redis.sha1hex(rec.id .. now), 1, 6)
    return math.floor(delay * (0.5 + tonumber(digits, 16) / 0x1000000 / 2))
end

local function schedule(rec, from, at_ms)
    tally_move(rec.parent, from, "ready")
    call("HSET", rec.key, "state", "scheduled", "due_ms", at_ms, "error",
         rec.text, "settled", rec.asked)
    due[#due + 1] = at_ms
    due[#due + 1] = rec.id
end

-- The job's own, else the kind's, else the queue's.
local function most_attempts(rec, of_queue)
    return tonumber(rec.max_attempts) or
           (rec.number or 0) > 0 and rec.number or set_default(of_queue, 5)
end

local function end_failed(rec, from)
    local b = backoff_settings()
    local attempts = set_default(rec.attempts, 1)
    local most = most_attempts(rec, b[4])
    count("failed")
    call("HSET", rec.key, "errors", add_error(rec, now, rec.text))
    if attempts >= most then
        return end_dead(rec, now, rec.text, from, rec.asked)
    end
    if b[1] ~= "0" then
        local delay = math.min(set_default(b[2], 5000) * 2 ^ (attempts - 1),
                               set_default(b[3], 1800000))
        return schedule(rec, from, now + jitter(rec, delay))
    end
    tally_move(rec.parent, from, "ready")
    call("HDEL", rec.key, "state")
    call("HSET", rec.key, "error", rec.text, "ready_ms", now, "settled",
         rec.asked)
    back[#back + 1] = {
        rec.id, rec.priority or 5, rec.group or "-", rec.kind,
    }
end

-- Costs no attempt.  An import's chunk stays away alone: it was told by its target, and
-- has no say over its queue.
local function end_throttled(rec, from)
    local b, at_ms = backoff_settings(), nil
    count("throttled")
    call("HSET", rec.key, "attempts",
         math.max(0, set_default(rec.attempts, 1) - 1),
         "throttles", set_default(rec.throttles, 0) + 1)
    if not rec.parent or is_of_batch(rec.parent) then
        at_ms = cool_down(rec, now, b)
    elseif rec.number > 0 then
        at_ms = now + rec.number
    else
        at_ms = now + set_default(b[2], 5000)
    end
    schedule(rec, from, at_ms)
end

local function apply(rec)
    local from = take_out(rec, gone)
    apply_move(rec, rec.move)
    if rec.outcome == "done" then
        end_done(rec, from)
    elseif rec.outcome == "cancelled" or rec.cancel_requested then
        count("cancelled")
        if is_stopping(rec.parent) then
            end_stopped(rec, now, from, rec.asked)
        else
            end_dead(rec, now, "cancelled by user", from, rec.asked)
        end
    elseif rec.outcome == "dead" then
        call("HSET", rec.key, "errors", add_error(rec, now, rec.text))
        end_dead(rec, now, rec.text, from, rec.asked)
    elseif is_stopping(rec.parent) then
        if rec.outcome == "failed" then
            count("failed")
            call("HSET", rec.key, "errors", add_error(rec, now, rec.text))
        end
        end_stopped(rec, now, from, rec.asked)
    elseif rec.outcome == "throttled" then
        end_throttled(rec, from)
    else
        end_failed(rec, from)
    end
end

if #plain > 0 then
    count("done", #plain / 2)
end
for i = 1, #plain, 2 do
    if keep_done then
        keep(plain[i], id_of(plain[i]), plain[i + 1])
    else
        deleted[#deleted + 1] = plain[i]
    end
end
local told = {}
for _, rec in ipairs(recs) do
    local word = standing(rec, pod, rec.asked)
    if word == "run" then
        apply(rec)
    elseif word ~= "ok" then
        told[#told + 1] = rec.index
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
if was_full and #gone > 0 and
   set_default(call("HGET", depth, "-"), 0) > 0 then
    wake_one() -- a claim of our own would see to that itself
end
groups_flush()
local next_jobs = {}
if limit > 0 then
    next_jobs = claim({
        held = held, pod = pod, limit = limit, ttl_ms = tonumber(ARGV[3]),
        kinds = ARGV[4],
    }, now, c)
else
    hear(now)
end
tally_flush()
groups_flush()
return {"ok", told, next_jobs}
