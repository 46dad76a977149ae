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

-- Parks jobs {id =, kind =}.
local function park_all(jobs, now)
    local by_kind, all = {}, {}
    for _, job in ipairs(jobs) do
        local of = by_kind[job.kind] or {}
        by_kind[job.kind] = of
        of[#of + 1] = now
        of[#of + 1] = job.id
        all[#all + 1] = now
        all[#all + 1] = job.id
    end
    if #all > 0 then
        call("ZADD", parked, unpack(all))
    end
    for kind, of in pairs(by_kind) do
        call("ZADD", base .. "parked:" .. kind, unpack(of))
        call("SADD", parked_kinds, kind)
    end
end

-- Takes jobs of one kind out of both places; how many were parked.
local function unpark_ids(ids, kind)
    local key = base .. "parked:" .. kind
    local n = call("ZREM", parked, unpack(ids))
    n = math.max(n, call("ZREM", key, unpack(ids)))
    if n > 0 and call("EXISTS", key) == 0 then
        call("SREM", parked_kinds, kind)
    end
    return n
end

-- True if the job was parked.  Mostly nothing is, which one look tells.
local is_any_parked
local function unpark(id, kind)
    if is_any_parked == nil then
        is_any_parked = call("EXISTS", parked, parked_kinds) > 0
    end
    return is_any_parked and unpark_ids({id}, kind) > 0
end

-- Moves at most `limit` parked jobs that `kinds` can run back to the front of
-- ready.  Sixteen kinds are looked at a call, picked at random when there are
-- more.
local function unpark_handled(kinds, limit, memo)
    local back, found, n = {}, {}, 0
    for _, kind in ipairs(call("SRANDMEMBER", parked_kinds, 16)) do
        if n < limit and handles(kinds, kind, memo) then
            local ids = call("ZRANGE", base .. "parked:" .. kind, 0,
                             limit - n - 1)
            n = n + #ids
            found[#found + 1] = {kind = kind, ids = ids}
            for _, id in ipairs(ids) do
                local rec = read(job_key(id), {
                    "kind", "state", "priority", "group",
                })
                if rec.kind == kind and not rec.state then
                    back[#back + 1] = {
                        id, rec.priority or 5, rec.group or "-", kind,
                    }
                end
            end
        end
    end
    for _, of in ipairs(found) do
        if #of.ids > 0 then
            unpark_ids(of.ids, of.kind)
        else
            call("SREM", parked_kinds, of.kind)
        end
    end
    if #back > 0 then
        push_ready(back, true)
    end
    return #back
end
