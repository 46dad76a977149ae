-- @include end
-- @include ready
-- Jobs of kinds that a pod cannot run step aside, so that they cost nothing.

-- Does ",noop.echo,py.*," hold this kind?
local function handles(kinds, kind, memo)
    local known = memo[kind]
    if known == nil then
        known = string.find(kinds, "," .. kind .. ",", 1, true) ~= nil
        if not known and string.find(kinds, "*", 1, true) then
            for prefix in string.gmatch(kinds, "([^,]*)%*") do
                known = known or string.sub(kind, 1, #prefix) == prefix
            end
        end
        memo[kind] = known
    end
    return known
end

local function park(id, kind, now)
    call("ZADD", parked, now, id)
    call("ZADD", base .. "parked:" .. kind, now, id)
    call("SADD", parked_kinds, kind)
end

-- True if the job was parked.
local function unpark(id, kind)
    local key = base .. "parked:" .. kind
    if call("ZREM", parked, id) == 0 then
        return false
    end
    call("ZREM", key, id)
    if call("EXISTS", key) == 0 then
        call("SREM", parked_kinds, kind)
    end
    return true
end

-- Moves at most `limit` parked jobs that `kinds` can run back to the front of
-- ready.  Sixteen kinds are looked at a call, picked at random when there are
-- more.
local function unpark_handled(kinds, limit, memo)
    local jobs = {}
    for _, kind in ipairs(call("SRANDMEMBER", parked_kinds, 16)) do
        if #jobs < limit and handles(kinds, kind, memo) then
            local key = base .. "parked:" .. kind
            for _, id in ipairs(call("ZRANGE", key, 0, limit - #jobs - 1)) do
                local rec = read(job_key(id), {"kind", "priority", "group"})
                jobs[#jobs + 1] = {
                    id, rec.priority or 5, rec.group or "-", kind, rec.kind,
                }
            end
        end
    end
    local back = {}
    for _, job in ipairs(jobs) do
        unpark(job[1], job[4])
        if job[5] then
            back[#back + 1] = job
        end
    end
    if #back > 0 then
        push_ready(back, true)
    end
    return #back
end
