-- The buckets of common/histogram.h: 0 to 15 are the values themselves, above
-- each power of two is cut into eight.

-- The middle of a bucket.
local function bucket_middle(bucket)
    if bucket < 16 then
        return bucket
    end
    local within = (bucket - 16) % 8
    local width = 2 ^ (1 + (bucket - 16 - within) / 8)
    return (8 + within) * width + (width - 1) / 2
end

-- The values below which so many parts of the whole lie.  `counts` are pairs
-- of bucket and count, in any order; without any all answers are 0.
local function percentiles(counts, parts)
    local total, values, seen, at = 0, {}, 0, 1
    table.sort(counts, function(a, b) return a[1] < b[1] end)
    for _, pair in ipairs(counts) do
        total = total + pair[2]
    end
    for i in ipairs(parts) do
        values[i] = 0
    end
    for _, pair in ipairs(counts) do
        seen = seen + pair[2]
        while at <= #parts and seen >= parts[at] * total do
            values[at] = bucket_middle(pair[1])
            at = at + 1
        end
    end
    return values
end
