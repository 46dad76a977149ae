-- @include tally
-- The ways out of a job's life.  A record is a table of its fields.

local REMEMBER_MS = 600000 -- ids that users chose, after the record has gone

local function read(key, fields)
    local values = call_on_record("HMGET", key, unpack(fields))
    local rec = {key = key, id = id_of(key)}
    for i, name in ipairs(fields) do
        rec[name] = values[i]
    end
    return rec
end

-- A unique key is released only by the job that it names.
local function release_unique(rec)
    if rec.unique then
        local key = base .. "unique:" .. rec.unique
        if redis.pcall("GET", key) == rec.id then
            call("DEL", key)
        end
    end
end

-- An id that a user chose counts as seen for a while.
local function remember(id)
    call("SET", base .. "gone:" .. id, "1", "PX", REMEMBER_MS)
end

-- Takes the record away.  What belongs to a parent alone goes with it.
local function forget(rec)
    call("UNLINK", rec.key)
    if rec.own then
        remember(rec.id)
    end
    if rec.phase or rec.plan then
        call("UNLINK", base .. "tally:" .. rec.id, base .. "bits:" .. rec.id,
             base .. "rejects:" .. rec.id)
    end
end

-- The last ten errors, the newest last.
local function add_error(rec, now, text)
    local is_list, list = pcall(cjson.decode, rec.errors or "[]")
    if not is_list or type(list) ~= "table" then
        list = {} -- somebody's hand
    end
    list[#list + 1] = {
        at_ms = now, attempt = tonumber(rec.attempts) or 0, error = text,
    }
    if #list > 10 then
        table.remove(list, 1)
    end
    return cjson.encode(list)
end

-- Ends a job as dead; the caller has taken it out of where it was.  `from` is
-- its place in a parent's tally.
local function end_dead(rec, now, why, from, settled)
    local set = {"state", "dead", "finished_ms", now, "error", why}
    if settled then
        set[#set + 1] = "settled"
        set[#set + 1] = settled
    end
    call("HSET", rec.key, unpack(set))
    call("ZADD", dead, now, rec.id)
    call("HINCRBY", stats, "dead", 1)
    tally_move(rec.parent, from, "dead")
    release_unique(rec)
    event(now, "dead", rec.id, rec.kind, why, "", rec.pod)
end

-- Ends a child whose parent is being stopped.
local function end_stopped(rec, now, from, settled)
    tally_add(rec.parent, "stopped", 1)
    end_dead(rec, now, "cancelled with its parent", from, settled)
end
