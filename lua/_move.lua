-- @include tally
-- A move is what a handler reports on the way: cursor, progress, sums, bad
-- lines; all of it belongs to one number that only grows, `seq`.

local MAX_REJECTS = 1000

-- Reads a move from ARGV at `i`: "0", or "1" and five values.  Returns the
-- move or nil, and the index behind it.
local function parse_move(i)
    if ARGV[i] ~= "1" then
        return nil, i + 1
    end
    return {
        seq = tonumber(ARGV[i + 1]), cursor = ARGV[i + 2],
        progress = ARGV[i + 3], sums = ARGV[i + 4], rejects = ARGV[i + 5],
    }, i + 6
end

local function parse_sums(text)
    local sums = {}
    for name, value in string.gmatch(text or "", "(%w+)=(%-?%d+)") do
        sums[name] = tonumber(value)
    end
    return sums
end

local function keep_rejects(rec, text)
    local key = base .. "rejects:" .. rec.parent
    local room = MAX_REJECTS - call("ZCARD", key)
    for offset, reason in string.gmatch(text, "(%d+) ([^\n]*)\n") do
        if room <= 0 then
            return
        end
        local member = offset .. " " .. (rec.chunk or "0") .. " " .. reason
        room = room - call("ZADD", key, offset, member)
    end
end

-- Applies a move to a job whose fence was checked.  A number that was seen
-- before changes nothing, so a repeated call counts nothing twice.  A cursor
-- that moved starts attempts and crashes anew.
local function apply_move(rec, move)
    if not move then
        return
    end
    local set = {}
    if move.progress ~= "" then
        set = {"progress", move.progress}
    end
    if move.seq > (tonumber(rec.seq) or 0) then
        for _, v in ipairs({"cursor", move.cursor, "seq", move.seq, "sums",
                            move.sums, "attempts", 1}) do
            set[#set + 1] = v
        end
        rec.attempts = 1
        if rec.crashes then
            call("HDEL", rec.key, "crashes")
            rec.crashes = false
        end
        tally_moved(rec.parent)
        if rec.parent and tallies[rec.parent] and
           not is_of_batch(rec.parent) then
            local old = parse_sums(rec.sums)
            for name, value in pairs(parse_sums(move.sums)) do
                tally_add(rec.parent, name, value - (old[name] or 0))
            end
            if move.rejects ~= "" then
                keep_rejects(rec, move.rejects)
            end
        end
        rec.seq, rec.sums = move.seq, move.sums
    end
    if #set > 0 then
        call("HSET", rec.key, unpack(set))
    end
end
