#!lua
--[[
add_children: adds the next children to a batch, which its first call makes, and
seals it with the last: then it ends, in the script that ends its last child.
Names the first number and is refused unless it equals the batch's `planned`; a
repeated call, whose children are in, answers ok and adds nothing.  Refused by
Redis as a whole at maxmemory, and as a whole where it would lift the queue over
max_length.

KEYS     the queue's standing keys
KEYS[25] parent  hash
KEYS[26] tally   hash    the parent's
KEYS[27] gone    string  remembers an id that a user chose
ARGV[1]  batch   "" where it must exist, else what it is made of, a msgpack map:
         kind payload json=1 own=1 p=priority policy="continue" | "fail_fast"
         on_complete on_success on_failure: each a msgpack map, packed, of the
         callback's kind, payload (else it is told how the batch ended) json=1
         p=priority g=group ma=max_attempts to=timeout_ms
ARGV[2]  first
ARGV[3]  seal    1: no more will come
ARGV per child, at most 500: kind, payload, options: "" for none, else msgpack
         of a map with json=1 p=priority g=group delay=ms at=ms exp_in=ms
         exp_at=ms ma=max_attempts to=timeout_ms
Returns  {"ok", planned, n_added, state}: state "waiting", or how a batch that
         has nothing to wait for ended
         {"planned", planned, sealed, state}: others are in already
         {"unknown"}  {"gone"}: the id was a job's whose record has gone
         {"taken"}: the id is a job's that is no batch
         {"state", state}: it has ended, or is being stopped
         {"full", length}
]]
-- @include queue
-- @include now
-- @include flush
local parent, tally_key = KEYS[STANDING + 1], KEYS[STANDING + 2]
local first, seal = tonumber(ARGV[2]), ARGV[3] == "1"
local parent_id, n = id_of(parent), (#ARGV - 3) / 3
local now = now_ms()

local p = call("HMGET", parent, "kind", "state", "batch", "own")
local is_new = not p[1]
local def = is_new and ARGV[1] ~= "" and cmsgpack.unpack(ARGV[1])
if is_new and not def then
    return {"unknown"}
elseif is_new and def.own and call("EXISTS", KEYS[STANDING + 3]) == 1 then
    return {"gone"}
elseif not is_new and not p[3] then
    return {"taken"}
end
local t = call("HMGET", tally_key, "planned", "sealed", "stopping")
local planned = is_new and 0 or set_default(t[1], 0)
local state = is_new and "waiting" or p[2]
local is_sealed = not is_new and t[2]
if n > 0 and first + n == planned then
    first, n = planned, 0 -- an earlier call's
    if is_sealed or not seal then
        return {"ok", planned, 0, state}
    end
elseif n == 0 and seal and is_sealed and first == planned then
    return {"ok", planned, 0, state}
end
if first ~= planned or is_sealed then
    return {"planned", planned, is_sealed and 1 or 0, state}
elseif state ~= "waiting" or t[3] and not is_new then
    return {"state", state == "waiting" and "stopping" or state}
end
local most = set_default(call("HGET", cfg, "max_length"), 0)
if most > 0 and n > 0 then
    local length = set_default(call("HGET", depth, "-"), 0)
                   + call("ZCARD", scheduled) + call("ZCARD", parked)
    if length + n > most then
        return {"full", length}
    end
end

local function adder(set)
    return function(name, value)
        if value then
            set[#set + 1] = name
            set[#set + 1] = value
        end
    end
end

local is_own = p[4]
local function make_parent()
    is_own = def.own
    local set = {
        "kind", def.kind, "payload", def.payload, "state", "waiting", "phase",
        "open", "batch", def.policy, "created_ms", now,
    }
    local add = adder(set)
    add("enc", def.json and "json")
    add("own", def.own)
    add("priority", def.p)
    add("on_complete", def.on_complete)
    add("on_success", def.on_success)
    add("on_failure", def.on_failure)
    call("HSET", parent, unpack(set))
    call("HSET", tally_key, "planned", 0, "batch", def.policy)
    call("ZADD", waiting, now, parent_id)
end

-- Children of an earlier batch of this id, which a user chose, may have
-- outlived it.
local function take_place(id)
    local key = job_key(id)
    if call("EXISTS", key) == 1 then
        call("UNLINK", key)
        call("ZREM", done, id)
        call("ZREM", dead, id)
    end
    return key
end

local unpacked = {[""] = {}}
local function options_of(packed)
    unpacked[packed] = unpacked[packed] or cmsgpack.unpack(packed)
    return unpacked[packed]
end

local ready, later = {}, {}
local function add_child(number, kind, payload, o)
    local id = parent_id .. "." .. string.format("%.0f", number)
    local due = o.at or o.delay and now + o.delay
    if due and due <= now then
        due = nil
    end
    local group = o.g or parent_id
    local set = {
        "kind", kind, "payload", payload, "created_ms", now, "parent",
        parent_id, "chunk", number, "group", group,
    }
    local add = adder(set)
    add("enc", o.json and "json")
    add("priority", o.p)
    add("expires_ms", o.exp_at or o.exp_in and now + o.exp_in)
    add("max_attempts", o.ma)
    add("timeout_ms", o.to)
    add("due_ms", due)
    add("state", due and "scheduled")
    call("HSET", is_own and take_place(id) or job_key(id), unpack(set))
    if due then
        later[#later + 1] = due
        later[#later + 1] = id
    else
        ready[#ready + 1] = {id, o.p or 5, group, kind}
    end
end

if is_new then
    make_parent()
end
local first_due = tonumber(call("ZRANGE", scheduled, 0, 0, "WITHSCORES")[2])
for i = 0, n - 1 do
    add_child(first + i, ARGV[4 + 3 * i], ARGV[5 + 3 * i],
              options_of(ARGV[6 + 3 * i]))
end
if n > 0 then
    call("HINCRBY", tally_key, "planned", n)
    call("HINCRBY", tally_key, "ready", n)
    call("HINCRBY", stats, "enqueued", n)
end
if #ready > 0 then
    push_ready(ready)
end
if #later > 0 then
    call("ZADD", scheduled, unpack(later))
end
local next_due = tonumber(call("ZRANGE", scheduled, 0, 0, "WITHSCORES")[2])
if #ready > 0 or next_due and (not first_due or next_due < first_due) then
    wake_one()
end
if seal then
    call("HSET", tally_key, "sealed", 1)
    call("HSET", parent, "phase", "sealed")
    tally_know(parent_id)
    tally_flush() -- nothing to wait for: it ends at once
    state = call("HGET", parent, "state")
end
return {"ok", first + n, n, state}
