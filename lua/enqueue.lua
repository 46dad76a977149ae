#!lua
--[[
enqueue: puts jobs into a queue, once however often the call is repeated.
The token is remembered for ten minutes with the answer; an id that a user
chose is remembered as long after its record has gone.  Refused by Redis as a
whole at maxmemory, and as a whole when the queue is at max_length; with
when_full at drop_oldest as many old ready jobs end as dead instead.

KEYS     the queue's standing keys
KEYS[25] token  string  made for this call
KEYS[26..]      hash    the jobs, at most 500
ARGV per job: kind, payload, options: "" for none, else msgpack of a map with
         own=1 json=1 p=priority g=group delay=ms at=ms exp_in=ms exp_at=ms
         u=unique_key um="replace" | "debounce" (none: refuse; _unique.lua)
         uttl=ms ma=max_attempts to=timeout_ms parent=1
         sn=schedule st=slot in ms (the leader's alone)
ARGV behind them: epoch, of a call that the leader makes
Returns  {"ok", n_enqueued, {index, id, ...}}
         the list names the deduplicated: their own id, or the id that holds
         their unique key
         {"full", length}  {"epoch", newer}
]]
-- @include queue
-- @include now
-- @include epoch
-- @include ready
-- @include drop
-- @include unique
-- @include flush
local token = KEYS[STANDING + 1]
local n = #KEYS - STANDING - 1
local KEEP_TOKEN_MS = 600000
local DROP_MORE = 100 -- than come in, at most

local epoch = tonumber(ARGV[3 * n + 1])
local newer = epoch and newer_epoch(epoch)
if newer then
    return {"epoch", newer}
end
local known = call("GET", token)
if known then
    return cmsgpack.unpack(known)
end

local now = now_ms()
local NO_OPTIONS, unpacked = {}, {}
local function options_of(packed)
    if packed == "" then
        return NO_OPTIONS
    end
    local o = unpacked[packed]
    if not o then
        o = cmsgpack.unpack(packed)
        unpacked[packed] = o
    end
    return o
end

-- A slot of a schedule is repeated by the next leader, and that may be long
-- after its job was forgotten: the newest slot is remembered for good.
local function is_fired(o)
    return o.sn and tonumber(call("HGET", base .. "fired", o.sn)) == o.st
end

local jobs, dedup, seen = {}, {}, {}
for i = 1, n do
    local key = KEYS[STANDING + 1 + i]
    local id = id_of(key)
    local o = options_of(ARGV[3 * i])
    local job = {
        id = id, key = key, kind = ARGV[3 * i - 2], payload = ARGV[3 * i - 1],
        o = o,
    }
    local way = gave_way[id]
    local same = (not way and (seen[id] or call("EXISTS", key) == 1) or
                  o.own and (way == "own" or
                             call("EXISTS", base .. "gone:" .. id) == 1)) and
                 id
    same = same or is_fired(o) and id or o.u and unique_meet(job)
    if same then
        dedup[#dedup + 1] = i
        dedup[#dedup + 1] = same
    else
        seen[id], gave_way[id] = true, nil
        jobs[#jobs + 1] = job
    end
end

local c = call("HMGET", cfg, "max_length", "when_full")
local most = set_default(c[1], 0)
if most > 0 then
    local length = set_default(call("HGET", depth, "-"), 0)
                   + call("ZCARD", scheduled) + call("ZCARD", parked)
    local n_new = #jobs - n_dropped
    local n_more = n_new - #replaced
    local over = length + n_more - most
    local spared = {} -- those that stand for a job of this call, or give way
    for i = 2, #dedup, 2 do
        spared[dedup[i]] = true
    end
    for _, rec in ipairs(replaced) do
        spared[rec.id] = true
    end
    -- Where the bound was lowered it is reached in steps.
    local n_drop = math.min(over, n_more + DROP_MORE)
    if n_more > 0 and over > 0 and
       (c[2] ~= "drop_oldest" or n_new > most or
        not make_room(n_drop, now, spared)) then
        return {"full", length}
    end
    tally_flush()
end

-- Fields at their default stay away: they are most of a job's memory.
local function record(job, due)
    local o, set = job.o, {"kind", job.kind, "payload", job.payload,
                           "created_ms", job.created or now}
    local function add(name, value)
        if value then
            set[#set + 1] = name
            set[#set + 1] = value
        end
    end
    if o == NO_OPTIONS then
        return set
    end
    add("enc", o.json and "json")
    add("own", o.own)
    add("priority", o.p)
    add("group", o.g)
    add("expires_ms", o.exp_at or o.exp_in and now + o.exp_in)
    add("unique", o.u)
    add("unique_ttl_ms", o.u and o.uttl)
    add("max_attempts", o.ma)
    add("timeout_ms", o.to)
    add("due_ms", due)
    add("ready_ms", job.created and not (job.stays or due) and now)
    add("state", o.parent and "waiting" or due and "scheduled")
    return set
end

local function due_of(o)
    local due = o.at or o.delay and now + o.delay
    return due and due > now and not o.parent and due or nil
end

local first_due = tonumber(call("ZRANGE", scheduled, 0, 0, "WITHSCORES")[2])
local ready, later, wait, sooner = {}, {}, {}, false
-- Writes the record, takes the unique key, and notes the job's place.
local function put(job, due)
    local o = job.o
    call("HSET", job.key, unpack(record(job, due)))
    if o.sn then
        call("HSET", base .. "fired", o.sn, string.format("%.0f", o.st))
    end
    if o.u then
        local unique = base .. "unique:" .. o.u
        call("SET", unique, job.id)
        if o.uttl then
            call("PEXPIRE", unique, o.uttl)
        end
    end
    if o.parent then
        call("HSET", base .. "tally:" .. job.id, "planned", 0)
        wait[#wait + 1] = now
        wait[#wait + 1] = job.id
    elseif due then
        later[#later + 1] = due
        later[#later + 1] = job.id
        sooner = sooner or not first_due or due < first_due
    elseif not job.stays then
        ready[#ready + 1] = {job.id, o.p or 5, o.g or "-", job.kind}
    else
        sooner = true -- what nobody would have run (expired, say) may run now
    end
end

unique_write(due_of, put)
for _, job in ipairs(jobs) do
    if not job.is_dropped then
        put(job, due_of(job.o))
    elseif job.o.own then
        remember(job.id)
    end
end
if #ready > 0 then
    push_ready(ready)
end
if #later > 0 then
    call("ZADD", scheduled, unpack(later))
end
if #wait > 0 then
    call("ZADD", waiting, unpack(wait))
end
if #ready > 0 or sooner then
    wake_one()
end
if #jobs > 0 then
    call("HINCRBY", stats, "enqueued", #jobs)
end
if #dedup > 0 then
    call("HINCRBY", stats, "deduplicated", #dedup / 2)
end
local answer = {"ok", #jobs, dedup}
call("SET", token, cmsgpack.pack(answer), "PX", KEEP_TOKEN_MS)
return answer
