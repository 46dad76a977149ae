-- How many jobs of each group run, so that group_max can bound it.  Counted in
-- the script that moves the job, like a tally; group "-" is nobody.
local group_adds = {}

local function group_add(group, n)
    if group then
        group_adds[group] = (group_adds[group] or 0) + n
    end
end

local function groups_flush()
    local none = {}
    for group, n in pairs(group_adds) do
        if n ~= 0 and call("HINCRBY", running, group, n) <= 0 then
            none[#none + 1] = group
        end
        group_adds[group] = nil
    end
    if #none > 0 then
        call("HDEL", running, unpack(none))
    end
end
