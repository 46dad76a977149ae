-- @include now
-- Chunks move between the places of their parent's tally in the script that
-- moves the chunk.  tally_know() is called while reading, tally_move() while
-- writing, tally_flush() once at the end.
local tallies = {}

local function tally_know(parent)
    if parent and tallies[parent] == nil then
        local key = base .. "tally:" .. parent
        -- Of a parent that is gone nothing is counted any more.
        tallies[parent] = call("EXISTS", key) == 1 and {key = key, adds = {}}
    end
end

local function tally_add(parent, field, n)
    local tally = parent and tallies[parent]
    if tally then
        tally.adds[field] = (tally.adds[field] or 0) + n
    end
end

local function tally_move(parent, from, to)
    tally_add(parent, from, -1)
    tally_add(parent, to, 1)
end

-- A chunk's cursor moved: by the time of it people see a stalled import.
local function tally_moved(parent)
    local tally = parent and tallies[parent]
    if tally then
        tally.moved = true
    end
end

-- A pod handed a chunk back and says why: the leader looks at the source.
local function tally_doubted(parent)
    local tally = parent and tallies[parent]
    if tally then
        tally.doubted = true
    end
end

local function tally_flush()
    for _, tally in pairs(tallies) do
        if tally then
            if tally.moved then
                call("HSET", tally.key, "moved_ms",
                     string.format("%.0f", now_ms()))
            end
            if tally.doubted then
                call("HSET", tally.key, "doubted_ms",
                     string.format("%.0f", now_ms()))
            end
            for field, n in pairs(tally.adds) do
                if n ~= 0 then
                    call("HINCRBY", tally.key, field,
                         string.format("%.0f", n))
                end
            end
        end
    end
end
