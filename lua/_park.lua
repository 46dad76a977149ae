-- @include end
-- @include ready
-- Jobs of kinds that a pod cannot run step aside, so that they cost nothing.

-- Does ",noop.echo,py.*,!py.mail," hold this kind?  A mark leaves one out: the
-- pod's rate limit for it has no token.
local function handles(kinds, kind, memo)
    local known = memo[kind]
    if known == nil then
        known = string.find(kinds, "," .. kind .. ",", 1, true) ~= nil
        if not known and string.find(kinds, "*", 1, true) then
            for prefix in string.gmatch(kinds, "([^,]*)%*") do
                known = known or string.sub(kind, 1, #prefix) == prefix
            end
        end
        known = known and
            not string.find(kinds, ",!" .. kind .. ",", 1, true)
        memo[kind] = known
    end
    return known
end

local function park(id, kind, now)
    call("ZADD", parked, now, id)
    call("ZADD", base .. "parked:" .. kind, now, id)
    call("SADD", parked_kinds, kind)
end

-- Takes the job out of both places; true if it was parked.
local function unpark(id, kind)
    local key = base .. "parked:" .. kind
    local n = call("ZREM", parked, id) + call("ZREM", key, id)
    if n > 0 and call("EXISTS", key) == 0 then
        call("SREM", parked_kinds, kind)
    end
    return n > 0
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
                local rec = read(job_key(id), {
                    "kind", "state", "priority", "group",
                })
                jobs[#jobs + 1] = {
                    id, rec.priority or 5, rec.group or "-", kind,
                    is_ready = rec.kind == kind and not rec.state,
                }
            end
        end
    end
    local back = {}
    for _, job in ipairs(jobs) do
        unpark(job[1], job[4])
        if job.is_ready then
            back[#back + 1] = job
        end
    end
    if #back > 0 then
        push_ready(back, true)
    end
    return #back
end
