#!lua flags=allow-oom
--[[
release: hands running jobs back at no cost: the attempt is given back.
They go to the front of their group, or become due after a delay.

KEYS     the queue's standing keys
KEYS[25] held      set   the pod's running jobs
KEYS[26..]         hash  the jobs
ARGV[1]  pod
ARGV[2..] per job: fence, delay_ms (0: at once), why ("" for none), then a
         move (_move.lua)
Returns  {"ok", {index, "gone" | "stale", ...}}
]]
-- @include queue
-- @include hear
-- @include settle
-- @include flush
local held, pod = KEYS[STANDING + 1], ARGV[1]
local FIELDS = {
    "kind", "state", "pod", "fence", "parent", "chunk", "seq", "sums",
    "attempts", "crashes", "settled", "priority", "group", "unique",
    "cancel_requested", "spared",
}

local now = now_ms()
hear(now)
local recs, at, seen = {}, 2, {}
for i = STANDING + 2, #KEYS do
    local rec = read(KEYS[i], FIELDS)
    rec.asked, rec.delay = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    rec.why = ARGV[at + 2]
    rec.move, at = parse_move(at + 3)
    tally_know(rec.parent)
    rec.index = i - STANDING - 1
    if not seen[rec.id] then -- named twice: the first stands
        recs[#recs + 1] = rec
    end
    seen[rec.id] = true
end

local gone, back, due, n_released = {}, {}, {}, 0

local function give_back(rec, from)
    local attempts = set_default(rec.attempts, 1)
    local set = {
        "settled", rec.asked, "attempts", math.max(0, attempts - 1),
    }
    if rec.why ~= "" then
        set[#set + 1] = "error"
        set[#set + 1] = rec.why
        tally_doubted(rec.parent)
    end
    tally_move(rec.parent, from, "ready")
    n_released = n_released + 1
    if rec.delay > 0 then
        call("HSET", rec.key, "state", "scheduled", "due_ms", now + rec.delay,
             unpack(set))
        due[#due + 1] = now + rec.delay
        due[#due + 1] = rec.id
        return
    end
    call("HDEL", rec.key, "state")
    call("HSET", rec.key, "ready_ms", now, unpack(set))
    back[#back + 1] = {
        rec.id, rec.priority or 5, rec.group or "-", rec.kind,
    }
end

local told, n_stale = {}, 0
for _, rec in ipairs(recs) do
    local word = standing(rec, pod, rec.asked)
    if word == "run" then
        local from = take_out(rec, gone)
        apply_move(rec, rec.move)
        if is_stopping(rec.parent) then
            end_stopped(rec, now, from, rec.asked)
        elseif rec.cancel_requested then
            end_dead(rec, now, "cancelled by user", from, rec.asked)
            call("HINCRBY", stats, "cancelled", 1)
        else
            give_back(rec, from)
        end
    elseif word ~= "ok" then
        told[#told + 1] = rec.index
        told[#told + 1] = word
        if word == "stale" then
            n_stale = n_stale + 1
        end
    end
end
drop_leases(held, gone)
if #due > 0 then
    call("ZADD", scheduled, unpack(due))
end
if #back > 0 then
    push_ready(back, true)
end
if #back + #due + #gone > 0 then -- an ended one leaves room at the cap
    wake_one()
end
for name, n in pairs({released = n_released, stale = n_stale}) do
    if n > 0 then
        call("HINCRBY", stats, name, n)
    end
end
tally_flush()
groups_flush()
return {"ok", told}
