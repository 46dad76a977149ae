-- @include end
-- @include ready
-- Writes what the tallies gathered, and ends batch parents whose last child
-- has ended: in this very script, whoever runs it.
-- Parents whose children the leader is asked to stop or revive (sweep.lua).
local sweeps = base .. "sweeps"

-- The id of a callback: ":2" and so on for a parent's further lives, or where
-- a user took the name.
local function callback_id(parent, name)
    local id, n = parent .. ":" .. name, 1
    while call("EXISTS", job_key(id)) == 1 and n < 100 do
        n = n + 1
        id = parent .. ":" .. name .. ":" .. n
    end
    return id
end

-- A callback's job out of its definition: a map like enqueue's options, with
-- kind and payload; without a payload it is told how the parent ended.
local function add_callback(rec, name, packed, summary, now)
    local is_map, def = pcall(cmsgpack.unpack, packed)
    if not is_map or type(def) ~= "table" or not def.kind then
        return nil -- somebody's hand
    end
    local id = callback_id(rec.id, name)
    local set = {
        "kind", def.kind, "payload", def.payload or cmsgpack.pack(summary),
        "created_ms", now, "callback_of", rec.id,
    }
    local function add(field, value)
        if value then
            set[#set + 1] = field
            set[#set + 1] = value
        end
    end
    add("enc", def.json and "json")
    add("priority", def.p)
    add("group", def.g)
    add("max_attempts", def.ma)
    add("timeout_ms", def.to)
    call("HSET", job_key(id), unpack(set))
    return {id, def.p or 5, def.g or "-", def.kind}
end

local function add_callbacks(rec, summary, now)
    local jobs = {}
    local other = summary.outcome == "done" and "success" or "failure"
    for _, name in ipairs({other, "complete"}) do
        local packed = rec["on_" .. name]
        if packed then
            jobs[#jobs + 1] = add_callback(rec, name, packed, summary, now)
        end
    end
    if #jobs > 0 then
        call("HINCRBY", stats, "enqueued", #jobs)
        push_ready(jobs)
        wake_one()
    end
end

local function summary_of(tally, rec)
    local t = call("HMGET", tally.key, "planned", "done", "dead", "deleted",
                   "stopped")
    local s = {
        parent = rec.id, children = set_default(t[1], 0),
        done = set_default(t[2], 0), dead = set_default(t[3], 0),
        deleted = set_default(t[4], 0),
    }
    s.stopped = math.min(set_default(t[5], 0), s.dead)
    s.failed = s.dead - s.stopped
    -- What is all done stays done, whatever was asked for since.
    local all_done = tally.sealed and s.done == s.children
    local is_done = all_done or s.dead == 0 and tally.sealed and
                    not rec.cancel_requested
    s.outcome = is_done and "done" or "dead"
    return s
end

-- Ends a waiting batch parent.  Its children have ended, all of them.
local function end_parent(tally, now)
    local rec = tally.rec or read_parent(tally)
    if rec.state ~= "waiting" then
        return
    end
    local s = summary_of(tally, rec)
    call("ZREM", waiting, rec.id)
    call("SREM", sweeps, rec.id)
    call("HSET", tally.key, "ended", 1)
    call("HDEL", rec.key, "cancel_requested")
    if s.outcome == "done" then
        call("HDEL", rec.key, "error")
        call("HSET", rec.key, "state", "done", "phase", "done", "finished_ms",
             now, "result", cmsgpack.pack({
                 children = s.children, done = s.done, deleted = s.deleted,
             }))
        call("ZADD", done, now, rec.id)
        call("HINCRBY", stats, "done", 1)
        event(now, "done", rec.id, rec.kind, "")
    else
        local why = s.failed .. " of " .. s.children .. " children failed"
        if s.stopped > 0 then
            why = why .. ", " .. s.stopped .. " were stopped"
        end
        if rec.cancel_requested then
            call("HINCRBY", stats, "cancelled", 1)
            why = "cancelled by user"
        end
        call("HSET", rec.key, "phase", "dead")
        end_dead(rec, now, why, "waiting")
    end
    tally.ended = true
    add_callbacks(rec, s, now)
end

local function tally_write(tally, now)
    if tally.moved then
        call("HSET", tally.key, "moved_ms", now)
    end
    if tally.doubted then
        call("HSET", tally.key, "doubted_ms", now)
    end
    for field, n in pairs(tally.adds) do
        if n ~= 0 then
            local sum = call("HINCRBY", tally.key, field,
                             string.format("%.0f", n))
            if field == "ready" or field == "running" then
                tally[field] = sum
            end
        end
    end
    if not tally.batch or tally.ended then
        return
    end
    if tally.stopping == "now" then
        call("HSET", tally.key, "stopping", 1)
        call("HDEL", tally.key, "reviving", "swept_to")
        call("SADD", sweeps, tally.id)
        tally.reviving = nil
    end
    if (tally.sealed or tally.stopping) and not tally.reviving and
       open_children(tally) <= 0 then
        end_parent(tally, now)
    end
end

local function tally_flush()
    local now
    for parent, tally in pairs(tallies) do
        if tally then
            now = now or string.format("%.0f", now_ms())
            tally_write(tally, now)
        end
        tallies[parent] = nil
    end
end
