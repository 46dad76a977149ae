--[[
muster_batch: jobs with a parent, which ends with the last of them; the id is the
caller's, so that a call can be repeated.

ARGS     ID KIND PAYLOAD N [option value ...] with N options of the batch:
           policy       continue, or fail_fast: the first dead child stops
                        the others
           on_complete on_success on_failure   the kind of a job that is
                        enqueued when the batch has ended (so)
           first        number of the first child of this call; 0
           open         1: more children will come, by calls of the same id
                        that say `first`; else this call was the last
         then for each child, at most 500 a call
         KIND PAYLOAD N [option value ...], as of muster_enqueue_many, but no
         id and no unique key
Returns  {"id", "queue", "children", "added", "state"}
Errors   STATE it has ended, is no batch, has other children already; FULL
]]
local BATCH_ID_MAX = 100 -- children's and callbacks' ids are longer
local NOT_OF_A_CHILD = {
    id = true, unique = true, unique_mode = true, unique_ttl_ms = true,
}
local POLICIES = {continue = true, fail_fast = true}

local function set_batch_option(batch, name, value)
    if batch.said[name] then
        return "INVALID " .. name .. ": it is said twice"
    end
    batch.said[name] = true
    if name == "first" then
        batch.first = whole(value, 0, 2 ^ 52)
        return not batch.first and
               not_one_of(name, value, "a number of a child")
    elseif name == "open" then
        batch.is_open = value == "1"
        return value ~= "1" and value ~= "0" and
               not_one_of(name, value, "0 or 1")
    elseif name == "policy" then
        batch.def.policy = value
        return not POLICIES[value] and
               not_one_of(name, value, "continue or fail_fast")
    elseif name == "on_complete" or name == "on_success" or
           name == "on_failure" then
        batch.def[name] = cmsgpack.pack({kind = value})
        return (not is_name(value) or value == "dump.import") and
               not_one_of(name, value, "a kind of a callback")
    end
    return "INVALID option: " .. shown(name) .. " is none of a batch"
end

-- The batch, and the index behind its options; or nil and what is wrong.
local function read_batch(args, most)
    local n = whole(args[4] or "", 0, 100)
    local last = 4 + 2 * (n or 0)
    if not n or last > #args then
        return nil, "INVALID arguments: ID KIND PAYLOAD N, N options, and " ..
                    "KIND PAYLOAD N for each child"
    end
    local batch = {
        id = args[1], first = 0, said = {}, payload = args[3], enc = "json",
        def = {kind = args[2], payload = args[3], json = 1, own = 1,
               policy = "continue"},
    }
    local why = not (is_users_id(batch.id) and #batch.id <= BATCH_ID_MAX) and
        not_one_of("id", batch.id, "a batch's id: 1 to 100 of A-Z a-z 0-9 " ..
                   ". _ : -, not ending in a dot and digits")
    why = why or not is_name(args[2]) and
        not_one_of("kind", args[2], "a name")
    if not why and string.sub(args[2], 1, 5) == "dump." then
        why = "INVALID kind: " .. shown(args[2]) .. " is an import's"
    end
    for i = 5, last, 2 do
        why = why or set_batch_option(batch, args[i], args[i + 1])
    end
    why = why or check_payload(batch, most)
    if why then
        return nil, why
    end
    return batch, last + 1
end

local function answer_of(q, batch, answer)
    local word, name = answer[1], " batch '" .. batch.id .. "'"
    if word == "ok" then
        return document({
            "id", json_text(batch.id), "queue", json_text(q.name),
            "children", json_number(answer[2]), "added",
            json_number(answer[3]), "state", json_text(answer[4]),
        })
    elseif word == "full" then
        return refuse(string.format("FULL queue '%s' has no room below its " ..
            "max_length (%.0f jobs)", q.name, answer[2]))
    elseif word == "planned" then
        return refuse(string.format("STATE%s has %.0f children%s, and this " ..
            "call is not the next", name, answer[2],
            answer[3] == 1 and " and takes no more" or ""))
    elseif word == "state" then
        return refuse("STATE" .. name .. " is " .. answer[2])
    end
    return refuse("STATE" .. name .. ": this id is, or was lately, another " ..
                  "job's")
end

register("muster_batch", function(keys, args)
    local q, why = open_queue(keys)
    if not q then
        return refuse(why)
    end
    prepare(q)
    local batch, at = read_batch(args, q.max_payload)
    if not batch then
        return refuse(at)
    end
    local children
    children, why = read_jobs(args, at, {
        most = q.max_payload, forbidden = NOT_OF_A_CHILD,
    })
    if not children then
        return refuse(why)
    end
    add_key(q, "job:" .. batch.id)
    add_key(q, "tally:" .. batch.id)
    add_key(q, "gone:" .. batch.id)
    local sent = {cmsgpack.pack(batch.def), string.format("%.0f", batch.first),
                  batch.is_open and "0" or "1"}
    for i, child in ipairs(children) do
        if child.kind == "dump.import" then
            return refuse("INVALID kind: an import is no child (job " .. i ..
                          ")")
        end
        sent[#sent + 1] = child.kind
        sent[#sent + 1] = child.payload
        sent[#sent + 1] = packed_options(child)
    end
    make_known(q)
    return answer_of(q, batch, ops.add_children(q.keys, sent))
end)
