-- The standing keys of a queue, as ms_keys_of_queue() sends them; KEYS[14] to
-- KEYS[23] are the rings of priority 0 to 9.
local call = redis.call
local cfg, stats, meta, depth = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local scheduled, leases, waiting = KEYS[5], KEYS[6], KEYS[7]
local done, dead = KEYS[8], KEYS[9]
local parked, parked_kinds, wake, events =
    KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local RING0, running, STANDING = 14, KEYS[24], 24
local base = string.sub(cfg, 1, -4) -- "ms:{F/Q}:"
local id_from = #base + 5           -- where the id begins in a job's key

local function job_key(id)
    return base .. "job:" .. id
end

local function id_of(key)
    return string.sub(key, id_from)
end

-- Reads a job's record, and nothing else.  A key of another type (somebody's
-- hand) is no record: one such key must not keep a batch of others from being
-- claimed, renewed or finished.  Any other error (a missing permission) is
-- one, lest jobs be dropped that are only not seen.
local function call_on_record(...)
    local values = redis.pcall(...)
    if values.err then
        if not string.find(values.err, "WRONGTYPE", 1, true) then
            error(values)
        end
        return {}
    end
    return values
end

local function set_default(value, default)
    return tonumber(value) or default
end

-- A token only says "look"; more than a few help nobody.
local WAKE_MAX = 16

local function wake_one()
    if call("LLEN", wake) < WAKE_MAX then
        call("RPUSH", wake, "1")
    end
end

-- Each pod that waits gets one: who is served waits behind the others then.
local function wake_all()
    for _ = call("LLEN", wake) + 1, WAKE_MAX do
        call("RPUSH", wake, "1")
    end
end

-- What people must not miss is told by the script that does it; the frequent
-- rest by observe.lua, off the way of the jobs.
local function event(now, type_of_event, id, kind, detail, actor, pod)
    call("XADD", events, "MAXLEN", "~", "10000", "*", "at_ms", now, "type",
         type_of_event, "id", id, "kind", kind or "", "pod", pod or "",
         "actor", actor or "", "detail", detail or "")
end
