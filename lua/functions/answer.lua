-- Answers: a document is a list of names and JSON texts by turns.
local function document(members)
    local parts = {}
    for i = 1, #members, 2 do
        parts[#parts + 1] = '"' .. members[i] .. '":' .. members[i + 1]
    end
    return "{" .. table.concat(parts, ",") .. "}"
end

local function json_text(value)
    return value and cjson.encode(value) or "null"
end

-- cjson keeps 14 digits, which is less than a fence may have.
local function json_number(value)
    local n = tonumber(value)
    return n and string.format("%.0f", n) or "null"
end

local function json_share(value) -- of 1
    local n = tonumber(value)
    return n and n >= 0 and n <= 1 and string.format("%.6g", n) or "null"
end

-- What our own scripts encoded.
local function json_list(value)
    return value and string.sub(value, 1, 1) == "[" and value or "[]"
end

local function json_flag(value)
    return value and "true" or "false"
end

-- A time, or what is known only when it is not 0.
local function json_known(value)
    return tonumber(value) ~= 0 and json_number(value) or "null"
end

local function refuse(why)
    return redis.error_reply(why)
end

local function register(name, callback, flags)
    redis.register_function({
        function_name = name, callback = callback, flags = flags,
    })
end
