-- Numbers of a parent's chunks from `from` on that are not done, by the bits
-- of those that are; looks at `limit` numbers at most.  Returns them and where
-- to go on, -1 at the end.
local function open_chunks(bits, planned, from, limit)
    local open, n, last = {}, from, math.min(planned, from + limit)
    while n < last do
        local byte = string.byte(call("GETRANGE", bits, math.floor(n / 8),
                                      math.floor(n / 8))) or 0
        repeat
            local bit = 7 - n % 8
            if math.floor(byte / 2 ^ bit) % 2 == 0 then
                open[#open + 1] = n
            end
            n = n + 1
        until n % 8 == 0 or n >= last
    end
    return open, n < planned and n or -1
end
