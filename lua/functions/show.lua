--[[
muster_job: one job.  ARGS ID.  The document of `musterctl job show`, but that
payload and result are texts, because they are not parsed here: the JSON as it
came; null for msgpack (`enc` says which it is).  There is no cursor, which is
msgpack, and no chunks.  Error UNKNOWN.

muster_queue: one queue.  No ARGS.  The document of `musterctl queue show`.

muster_version: this library.  No key, no ARGS.  {"version", "build"}
]]
local SHOWN = {
    {"id", json_text}, {"kind", json_text}, {"queue", json_text},
    {"state", json_text}, {"priority", json_number}, {"enc", json_text},
    {"payload", json_text}, {"attempts", json_number},
    {"max_attempts", json_known}, {"crashes", json_number},
    {"throttles", json_number},
    {"fence", json_known}, {"pod", json_text}, {"created_ms", json_known},
    {"ready_ms", json_known}, {"started_ms", json_known},
    {"finished_ms", json_known}, {"due_ms", json_known},
    {"expires_ms", json_known}, {"progress", json_share},
    {"parent", json_text}, {"chunk", json_number}, {"group", json_text},
    {"unique", json_text}, {"error", json_text}, {"errors", json_list},
    {"result", json_text},
    {"timeout_ms", json_known},
}

-- Msgpack is left out: bytes that are no text would break the document.
local function fill_in(job, id, q)
    job.id, job.queue = id, q.name
    job.state = job.state or "ready"
    job.priority = job.priority or "5"
    for _, name in ipairs({"attempts", "crashes", "throttles"}) do
        job[name] = job[name] or "0"
    end
    if job.state ~= "scheduled" then
        job.ready_ms = job.ready_ms or job.created_ms
    end
    if job.enc ~= "json" then
        job.enc, job.payload, job.result = "msgpack", nil, nil
    end
end

register("muster_job", function(keys, args)
    local q, why = open_job(keys, args, 1)
    if not q then
        return refuse(why)
    end
    local fields = redis.call("HGETALL", q.keys[#q.keys])
    local job, members = {}, {}
    for i = 1, #fields, 2 do
        job[fields[i]] = fields[i + 1]
    end
    if not job.kind then
        return refuse("UNKNOWN job '" .. args[1] .. "': there is none")
    end
    fill_in(job, args[1], q)
    for _, shows in ipairs(SHOWN) do
        members[#members + 1] = shows[1]
        members[#members + 1] = shows[2](job[shows[1]])
    end
    members[#members + 1] = "cancel_requested"
    members[#members + 1] = json_flag(job.cancel_requested == "1")
    return document(members)
end, {"no-writes"})

register("muster_queue", function(keys, args)
    local q, why = open_queue(keys)
    if not q or #args > 0 then
        return refuse(why or "INVALID arguments: none are wanted")
    end
    local a = ops.queue_info(q.keys, {})
    return document({
        "name", json_text(q.name), "paused", json_flag(a[2] == 1),
        "max_workers", json_number(a[3]), "ready", json_number(a[4]),
        "scheduled", json_number(a[5]), "running", json_number(a[6]),
        "waiting", json_number(a[7]), "done", json_number(a[8]),
        "dead", json_number(a[9]), "parked", json_number(a[10]),
        "due", json_number(a[13]),
        "oldest_ready_ms", json_known(a[11]),
        "throttled_until_ms", json_known(a[12]),
    })
end, {"no-writes"})

register("muster_version", function()
    return document({
        "version", json_number(VERSION), "build", json_text(BUILD),
    })
end, {"no-writes"})
