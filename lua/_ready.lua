-- Adds `sign` times the counts by kind to the number of ready jobs.
local function depth_add(by_kind, sign)
    local total = 0
    for kind, n in pairs(by_kind) do
        if n ~= 0 and call("HINCRBY", depth, kind, n * sign) <= 0 then
            call("HDEL", depth, kind)
        end
        total = total + n
    end
    if total == 0 then
        return nil
    end
    return call("HINCRBY", depth, "-", total * sign)
end

-- Puts jobs {id, priority, group, kind} into their ready lists, at the back or
-- at the front (then in their order).  A group is in its ring exactly while
-- its list is not empty.
local function push_ready(jobs, front)
    local lists, order, kinds = {}, {}, {}
    for _, job in ipairs(jobs) do
        local key = base .. "ready:" .. job[2] .. ":" .. job[3]
        local list = lists[key]
        if not list then
            list = {key = key, job = job, ids = {}}
            list.empty = call("LLEN", key) == 0
            lists[key] = list
            order[#order + 1] = list
        end
        list.ids[#list.ids + 1] = job[1]
        kinds[job[4]] = (kinds[job[4]] or 0) + 1
    end
    for _, list in ipairs(order) do
        local ids = list.ids
        if front then
            local reversed = {}
            for i = #ids, 1, -1 do
                reversed[#reversed + 1] = ids[i]
            end
            call("LPUSH", list.key, unpack(reversed))
        else
            call("RPUSH", list.key, unpack(ids))
        end
        if list.empty then
            call("RPUSH", KEYS[RING0 + list.job[2]], list.job[3])
        end
    end
    depth_add(kinds, 1)
end
