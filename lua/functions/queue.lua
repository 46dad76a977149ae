-- The standing keys, in the order of _queue.lua.
local STANDING = {
    "cfg", "stats", "meta", "depth", "scheduled", "leases", "waiting", "done",
    "dead", "parked", "parked_kinds", "wake", "events", "ring:0", "ring:1",
    "ring:2", "ring:3", "ring:4", "ring:5", "ring:6", "ring:7", "ring:8",
    "ring:9", "running",
}
local KEY_WANTED = "INVALID key: one key is wanted, ms:{FLEET/QUEUE}:cfg"

-- The queue that a call is about, or nil and why there is none.
local function open_queue(keys)
    local fleet, name
    if #keys == 1 then
        fleet, name = string.match(keys[1], "^ms:{([^{}/]*)/([^{}/]*)}:cfg$")
    end
    if not fleet then
        return nil, KEY_WANTED
    end
    for _, text in ipairs({fleet, name}) do
        if not is_name(text) then
            return nil, "INVALID key: " .. shown(text) .. " is not a name"
        end
    end
    local q = {fleet = fleet, name = name, keys = {},
               base = "ms:{" .. fleet .. "/" .. name .. "}:"}
    for i, tail in ipairs(STANDING) do
        q.keys[i] = q.base .. tail
    end
    return q
end

-- Names every key before anything is written: while a Cluster moves this slot,
-- the call is refused here, and not when half of it is done.
local function touch(q)
    redis.call("EXISTS", unpack(q.keys))
end

local function add_key(q, tail)
    q.keys[#q.keys + 1] = q.base .. tail
end

local function fleet_key(q, tail)
    return "ms:{" .. q.fleet .. "}:" .. tail
end
