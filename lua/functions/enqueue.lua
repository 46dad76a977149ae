--[[
muster_enqueue: puts one job into a queue.

ARGS     KIND PAYLOAD [option value ...], options: id group priority delay_ms
         at_ms expires_ms expires_in_ms unique unique_mode unique_ttl_ms
         max_attempts timeout_ms enc (json or msgpack) token
Returns  {"id", "queue", "deduplicated"}

muster_enqueue_many: puts up to 500 jobs into a queue, all or none.

ARGS     TOKEN ("" for none), then for each job
         KIND PAYLOAD N [option value ...] with N options, as above but token
Returns  {"queue", "enqueued", "deduplicated", "ids"}: for a deduplicated job
         the id that stands for it

A call that shows a token can be repeated for ten minutes and gets the first
call's answer, whatever has become of the jobs.
]]
local JOBS_MAX, MAX_PAYLOAD = 500, 1048576
local CALL_BYTES_MAX = 16 * 1024 * 1024 -- Redis does nothing else meanwhile
local BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

-- A ULID.  `salt` differs between any two calls, also within a microsecond.
local function fresh_id(t, salt)
    local ms, id = t[1] * 1000 + math.floor(t[2] / 1000), ""
    for _ = 1, 10 do
        local digit = ms % 32
        id = string.sub(BASE32, digit + 1, digit + 1) .. id
        ms = (ms - digit) / 32
    end
    local hash = redis.sha1hex(t[1] .. "." .. t[2] .. "." .. salt)
    for i = 1, 16 do
        local digit = tonumber(string.sub(hash, 2 * i - 1, 2 * i), 16) % 32
        id = id .. string.sub(BASE32, digit + 1, digit + 1)
    end
    return id
end

-- What stands before the first write: the bound of payloads, and what a fresh
-- id is made of.  Every call that stores a job moves one of the two totals.
local function prepare(q)
    touch(q)
    local stats = redis.call("HMGET", q.base .. "stats", "enqueued",
                             "deduplicated")
    q.is_new = not stats[1] and not stats[2]
    q.t = redis.call("TIME")
    q.salt = q.base .. (stats[1] or 0) .. "." .. (stats[2] or 0) .. "."
    q.max_payload = tonumber(redis.call("HGET", q.base .. "cfg",
                                        "max_payload")) or MAX_PAYLOAD
end

-- Programs add the queue's name before they enqueue.  On a Cluster the set may
-- be on another node; workers that declare the queue have added it then.
local function make_known(q)
    if q.is_new then
        redis.pcall("SADD", fleet_key(q, "queues"), q.name)
    end
end

local function packed_options(job)
    return next(job.o) and cmsgpack.pack(job.o) or ""
end

-- Runs the script.  Returns the ids (their own, or those that stand for
-- them), which of them are deduplicated, and the script's answer; or nil and
-- why not.
local function enqueue(q, jobs, token)
    local args, ids, is_dedup = {}, {}, {}
    add_key(q, "token:" .. (token or fresh_id(q.t, q.salt .. "token")))
    local token_key = q.keys[#q.keys]
    for i, job in ipairs(jobs) do
        ids[i] = job.id or fresh_id(q.t, q.salt .. i)
        add_key(q, "job:" .. ids[i])
        args[3 * i - 2], args[3 * i - 1] = job.kind, job.payload
        args[3 * i] = packed_options(job)
    end
    make_known(q)
    local answer = ops.enqueue(q.keys, args)
    if answer[1] == "full" then
        return nil, string.format("FULL queue '%s' is at its max_length " ..
                                  "(%.0f jobs)", q.name, answer[2])
    end
    if not token then
        redis.call("DEL", token_key) -- nobody can show it
    elseif answer.ids and #answer.ids ~= #jobs then
        return nil, "INVALID token: it was shown by another call"
    elseif answer.ids then
        ids = answer.ids
    else
        answer.ids = ids
        redis.call("SET", token_key, cmsgpack.pack(answer), "XX", "KEEPTTL")
    end
    local dedup = answer[3]
    for i = 1, #dedup, 2 do
        ids[dedup[i]], is_dedup[dedup[i]] = dedup[i + 1], true
    end
    return ids, is_dedup, answer
end

register("muster_enqueue", function(keys, args)
    local q, why = open_queue(keys)
    if not q then
        return refuse(why)
    elseif #args < 2 then
        return refuse("INVALID arguments: KIND PAYLOAD [option value ...]")
    end
    prepare(q)
    local job, call = nil, {}
    job, why = read_job(args, 1, 3, #args, {most = q.max_payload, call = call})
    if not job then
        return refuse(why)
    end
    local ids, is_dedup = enqueue(q, {job}, call.token)
    if not ids then
        return refuse(is_dedup)
    end
    return document({
        "id", json_text(ids[1]), "queue", json_text(q.name),
        "deduplicated", json_flag(is_dedup[1]),
    })
end)

-- All jobs of a call from `i` on, or nil and what is wrong with which.
local function read_jobs(args, i, how)
    local jobs, bytes = {}, 0
    while i <= #args do
        local n = whole(args[i + 2] or "", 0, 100)
        local last = i + 2 + 2 * (n or 0)
        local job, why = nil, nil
        if not n or last > #args then
            why = "INVALID arguments: KIND PAYLOAD N, then N options"
        elseif #jobs == JOBS_MAX then
            why = "INVALID arguments: more than 500 jobs in a call"
        else
            job, why = read_job(args, i, i + 3, last, how)
            bytes = bytes + #args[i + 1]
        end
        if job and bytes > CALL_BYTES_MAX and #jobs > 0 then
            job, why = nil, string.format("INVALID payload: more than %.0f " ..
                "bytes in a call", CALL_BYTES_MAX)
        end
        if not job then
            return nil, why .. " (job " .. #jobs + 1 .. ")"
        end
        jobs[#jobs + 1] = job
        i = last + 1
    end
    return jobs
end

register("muster_enqueue_many", function(keys, args)
    local q, why = open_queue(keys)
    local jobs, call = nil, {}
    if q and #args < 4 then
        why = "INVALID arguments: TOKEN, then KIND PAYLOAD N for each job"
    elseif q and args[1] ~= "" then
        why = set_token(call, args[1])
    end
    if why then
        return refuse(why)
    end
    prepare(q)
    jobs, why = read_jobs(args, 2, {most = q.max_payload})
    if not jobs then
        return refuse(why)
    end
    local ids, is_dedup, answer = enqueue(q, jobs, call.token)
    if not ids then
        return refuse(is_dedup)
    end
    return document({
        "queue", json_text(q.name), "enqueued", json_number(answer[2]),
        "deduplicated", json_number(#answer[3] / 2), "ids", cjson.encode(ids),
    })
end)
