-- One job as a caller describes it: kind, payload, and options by name.
local MOST = 2 ^ 52 -- of ms: later is never, and sums stay whole

-- Its name in the options of the enqueue script, and its bounds.
local NUMBERS = {
    priority = {"p", 0, 9}, delay_ms = {"delay", 0, MOST},
    at_ms = {"at", 1, MOST}, expires_ms = {"exp_at", 1, MOST},
    expires_in_ms = {"exp_in", 1, MOST}, unique_ttl_ms = {"uttl", 1, MOST},
    max_attempts = {"ma", 1, 1000000}, timeout_ms = {"to", 1, MOST},
}

local function not_one_of(name, value, words)
    return "INVALID " .. name .. ": " .. shown(value) .. " is not " .. words
end

local TEXTS = {
    id = function(job, value)
        if not is_users_id(value) then
            return not_one_of("id", value, "a job id: 1 to 128 of A-Z a-z " ..
                "0-9 . _ : -, not ending in a dot and digits")
        end
        job.id, job.o.own = value, 1
    end,
    group = function(job, value)
        if not is_name(value) then
            return not_one_of("group", value, "a name")
        end
        job.o.g = value
    end,
    unique = function(job, value)
        if #value < 1 or #value > 256 then
            return "INVALID unique: a key has 1 to 256 bytes"
        end
        job.o.u = value
    end,
    unique_mode = function(job, value)
        if value ~= "refuse" and value ~= "replace" and value ~= "debounce" then
            return not_one_of("unique_mode", value,
                              "refuse, replace or debounce")
        end
        job.o.um = value ~= "refuse" and value or nil
    end,
    enc = function(job, value)
        if value ~= "json" and value ~= "msgpack" then
            return not_one_of("enc", value, "json or msgpack")
        end
        job.enc = value
    end,
}

-- Only of a call of one job; a call of many has its own place for it.
local function set_token(call, value)
    if not is_id(value) then
        return not_one_of("token", value,
                          "1 to 128 of A-Z a-z 0-9 . _ : -")
    end
    call.token = value
end

local function set_number(job, name, value)
    local field, least, most = unpack(NUMBERS[name])
    local n = whole(value, least, most)
    if not n then
        return not_one_of(name, value, string.format(
            "a whole number from %.0f to %.0f", least, most))
    end
    job.o[field] = n
end

local function set_option(job, name, value)
    if job.said[name] then
        return "INVALID " .. name .. ": it is said twice"
    end
    job.said[name] = true
    if job.forbidden and job.forbidden[name] then
        return "INVALID " .. name .. ": a child of a batch has none"
    elseif NUMBERS[name] then
        return set_number(job, name, value)
    elseif TEXTS[name] then
        return TEXTS[name](job, value)
    elseif name == "token" and job.call then
        return set_token(job.call, value)
    end
    return "INVALID option: " .. shown(name) .. " is none"
end

-- Of options that exclude or need each other.
local EXCLUDE = {{"at_ms", "delay_ms"}, {"expires_ms", "expires_in_ms"}}
local NEED = {{"unique_ttl_ms", "unique"}, {"unique_mode", "unique"}}

local function check_together(said)
    for _, pair in ipairs(EXCLUDE) do
        if said[pair[1]] and said[pair[2]] then
            return "INVALID " .. pair[1] .. ": it excludes " .. pair[2]
        end
    end
    for _, pair in ipairs(NEED) do
        if said[pair[1]] and not said[pair[2]] then
            return "INVALID " .. pair[1] .. ": it needs " .. pair[2]
        end
    end
end

-- Its first and last bytes tell text that was never meant as JSON; the rest is
-- for the worker, who ends a job with a broken payload as dead.
local CLOSES = {["{"] = "}", ["["] = "]", ['"'] = '"'}

local function looks_like_json(payload)
    local first = string.match(string.sub(payload, 1, 64), "^%s*(%S)") or ""
    local last = string.match(string.sub(payload, -64), "(%S)%s*$") or ""
    if CLOSES[first] then
        return last == CLOSES[first]
    end
    return string.find(first, "[%dtfn%-]") and string.find(last, "[%del]")
end

local function check_payload(job, most)
    if #job.payload > most then
        return string.format("INVALID payload: %.0f bytes, more than " ..
                             "max_payload (%.0f)", #job.payload, most)
    elseif job.enc == "json" and not looks_like_json(job.payload) then
        return "INVALID payload: " .. shown(job.payload) .. " is no JSON"
    end
end

-- Reads a job whose kind stands at `at`, with options from `first` to `last`.
-- `how.most` bounds the payload; `how.forbidden` names options that do not count
-- here; `how.call` gets the token where one may be said.  Returns the job, or
-- nil and what is wrong.
local function read_job(args, at, first, last, how)
    local kind = args[at]
    local job = {
        kind = kind, payload = args[at + 1], enc = "json", o = {}, said = {},
        call = how.call, forbidden = how.forbidden,
    }
    local why = not is_name(kind) and not_one_of("kind", kind, "a name")
    if not why and (last - first) % 2 == 0 then
        why = "INVALID options: " .. shown(args[last]) .. " has no value"
    end
    for i = first, last, 2 do
        why = why or set_option(job, args[i], args[i + 1])
    end
    why = why or check_together(job.said) or check_payload(job, how.most)
    if why then
        return nil, why
    end
    if job.enc == "json" then
        job.o.json = 1
    end
    if job.o.delay == 0 then
        job.o.delay = nil
    end
    return job
end
