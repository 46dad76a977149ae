-- Numbers of a parent's chunks from `from` on that are not done, by the bits
-- of those that are; looks at `limit` numbers at most.  Returns them and where
-- to go on, -1 at the end.
local function open_chunks(bits, planned, from, limit)
    local open, last = {}, math.min(planned, from + limit)
    local first_byte = math.floor(from / 8)
    local bytes = call("GETRANGE", bits, first_byte, math.floor(last / 8))
    for n = from, last - 1 do
        local byte = string.byte(bytes, math.floor(n / 8) - first_byte + 1)
        local is_done = math.floor((byte or 0) / 2 ^ (7 - n % 8)) % 2 == 1
        if not is_done then
            open[#open + 1] = n
        end
    end
    return open, last < planned and last or -1
end
