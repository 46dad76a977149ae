-- The grammar of common/name.c.
local function is_name(text)
    return #text <= 64 and string.find(text, "^%w[%w._~%-]*$") ~= nil
end

local function is_id(text)
    return #text <= 128 and string.find(text, "^%w[%w._:%-]*$") ~= nil
end

-- ".digits" at the end marks a chunk of a parent.
local function is_users_id(text)
    return is_id(text) and not string.find(text, "%.%d+$")
end

-- A whole number from `least` to `most`; nil for anything else.
local function whole(text, least, most)
    local n = #text <= 16 and string.find(text, "^%d+$") and tonumber(text)
    return n and n >= least and n <= most and n or nil
end

-- What somebody gave us, fit for the one line of an error.
local function shown(text)
    local cut = string.sub(text, 1, 65)
    if #cut > 64 then
        cut = string.sub(cut, 1, 61) .. "..."
    end
    return "'" .. string.gsub(cut, "[^\32-\126]", "?") .. "'"
end
