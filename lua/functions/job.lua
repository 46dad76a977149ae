--[[
muster_cancel, muster_retry, muster_run_now, muster_delete: one job.

ARGS     ID [ACTOR (cancel alone): who wants it, for the event]
Returns  {"id", "result"}: cancelled, requested, finished or unknown of a
         cancel; ok of the others, and of a delete again, too: a parent's
         chunks were deleted in part, call once more
Errors   UNKNOWN there is none; STATE it is running, a chunk, ...

muster_pause, muster_resume: a queue; no ARGS.

Returns  {"queue", "paused", "changed"}
]]
local function open_job(keys, args, n_most)
    local q, why = open_queue(keys)
    if not q then
        return nil, why
    elseif #args < 1 or #args > n_most then
        return nil, "INVALID arguments: the job's id is wanted"
    elseif not is_id(args[1]) then
        return nil, not_one_of("id", args[1], "a job id")
    end
    add_key(q, "job:" .. args[1])
    touch(q)
    return q
end

local function result_of(id, result)
    return document({"id", json_text(id), "result", json_text(result)})
end

-- The pod would hear of it with its next renewal; a message makes it at once,
-- where its inbox is on this node.
local function tell_pod(q, pod, id)
    local key = fleet_key(q, "pod:" .. pod)
    local inbox = key .. ":inbox"
    local n = redis.pcall("LLEN", inbox)
    if redis.pcall("EXISTS", key) == 1 and type(n) == "number" and n < 64 then
        redis.pcall("RPUSH", inbox, "cancel " .. q.name .. " " .. id)
        redis.pcall("PEXPIRE", inbox, 600000)
    end
end

-- Which pods run a parent's children is not known here: each one looks.
local function tell_pods(q, id)
    local pods = redis.pcall("ZRANGE", fleet_key(q, "members:" .. q.name), 0,
                             99)
    for _, pod in ipairs(type(pods) == "table" and pods or {}) do
        tell_pod(q, pod, id)
    end
end

register("muster_cancel", function(keys, args)
    local q, why = open_job(keys, args, 2)
    if not q then
        return refuse(why)
    end
    local actor = args[2] or "fcall"
    if not is_name(actor) then
        return refuse(not_one_of("actor", actor, "a name"))
    end
    local answer = ops.cancel(q.keys, {actor})
    if answer[1] == "requested" and answer[2] ~= "" then
        tell_pod(q, answer[2], args[1])
    elseif answer[1] == "requested" then
        tell_pods(q, args[1])
    end
    return result_of(args[1], answer[1])
end, {"allow-oom"})

local function register_verb(name, op, op_args)
    register(name, function(keys, args)
        local q, why = open_job(keys, args, 1)
        if not q then
            return refuse(why)
        end
        local answer = ops[op](q.keys, op_args)
        local job = " job '" .. args[1] .. "'"
        if answer[1] == "unknown" then
            return refuse("UNKNOWN" .. job .. ": there is none")
        elseif answer[2] == "chunk" then
            return refuse("STATE" .. job .. " is a chunk: act on its parent")
        elseif answer[1] == "state" then
            return refuse("STATE" .. job .. " is " .. answer[2])
        end
        return result_of(args[1], answer[1])
    end, {"allow-oom"})
end
register_verb("muster_retry", "retry", {"0", ""})
register_verb("muster_run_now", "run_now", {})
register_verb("muster_delete", "delete", {})

local function register_pause(name, paused)
    register(name, function(keys, args)
        local q, why = open_queue(keys)
        if not q or #args > 0 then
            return refuse(why or "INVALID arguments: none are wanted")
        end
        touch(q)
        local answer = ops.pause(q.keys, {paused})
        return document({
            "queue", json_text(q.name), "paused", json_flag(paused == "1"),
            "changed", json_flag(answer[2] == 1),
        })
    end, {"allow-oom"})
end
register_pause("muster_pause", "1")
register_pause("muster_resume", "0")
