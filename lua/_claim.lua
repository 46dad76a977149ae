-- @include hear
-- @include reclaim
-- @include promote
-- @include park
-- The claim itself, for claim and finish.

local CLAIM_MAX = 256

-- One group's list as the claim walks along it.
local function open_group(p, group, want)
    local key = base .. "ready:" .. p .. ":" .. group
    return {
        key = key, group = group, used = 0, turn = 0,
        len = call("LLEN", key), ids = call("LRANGE", key, 0, want - 1),
    }
end

local function next_id(g)
    if g.used >= g.len then
        return nil
    end
    local id = g.ids[g.used + 1 - (g.skipped or 0)]
    if not id then
        g.skipped = g.used
        g.ids = call("LRANGE", g.key, g.used, g.used + 63)
        id = g.ids[1]
    end
    g.used = g.used + 1
    return id
end

-- Looks at the job behind an id: what to do with it, or nil for an id whose
-- job is gone, not ready any more, or seen already.
local function look(pick, id)
    if pick.seen[id] then
        return nil
    end
    pick.seen[id] = true
    local key = job_key(id)
    local fields = call("HGETALL", key)
    local job = {id = id, key = key, fields = fields}
    for i = 1, #fields, 2 do
        local name = fields[i]
        if name ~= "payload" then
            job[name] = fields[i + 1]
        end
    end
    if not job.kind or job.state then
        return nil
    end
    return job
end

-- Sorts a ready job into what will be taken, parked or expired.  True if it
-- was the group's turn that was used.
local function sort_job(pick, job)
    if job.expires_ms and tonumber(job.expires_ms) <= pick.now then
        pick.expired[#pick.expired + 1] = job
        tally_know(job.parent)
        return false
    end
    if not handles(pick.kinds, job.kind, pick.memo) then
        pick.parks[#pick.parks + 1] = job
        return false
    end
    tally_know(job.parent)
    pick.jobs[#pick.jobs + 1] = job
    return true
end

-- One turn of one group: takes its next job that can be taken.
local function take_turn(pick, g)
    while pick.budget > 0 do
        local id = next_id(g)
        if not id then
            return
        end
        pick.budget = pick.budget - 1
        local job = look(pick, id)
        if job and sort_job(pick, job) then
            pick.turns = pick.turns + 1
            g.turn = pick.turns
            return
        end
    end
end

-- The groups of one priority take turns until enough was picked.
local function pick_priority(pick, p, limit)
    local want = limit - #pick.jobs
    local names = call("LRANGE", KEYS[RING0 + p], 0, want - 1)
    local groups = {}
    local each = math.ceil(want / math.max(1, #names))
    for i, name in ipairs(names) do
        groups[i] = open_group(p, name, each)
    end
    local live = #groups
    while live > 0 and #pick.jobs < limit and pick.budget > 0 do
        live = 0
        for _, g in ipairs(groups) do
            if #pick.jobs >= limit then
                break
            end
            take_turn(pick, g)
            if g.used < g.len then
                live = live + 1
            end
        end
    end
    if #groups > 0 then
        pick.rings[#pick.rings + 1] = {p = p, groups = groups}
    end
end

-- Drops what was looked at from the lists; who had a turn goes to the end of
-- the ring, in the order of the turns.
local function turn_ring(ring)
    local key = KEYS[RING0 + ring.p]
    local waits, had = {}, {}
    for _, g in ipairs(ring.groups) do
        if g.used > 0 then
            call("LTRIM", g.key, g.used, -1)
        end
        if g.used < g.len then
            local of = g.turn > 0 and had or waits
            of[#of + 1] = g
        end
    end
    if #ring.groups == 1 then
        if #had + #waits == 0 then
            call("LPOP", key)
        elseif #had == 1 then
            call("LMOVE", key, key, "LEFT", "RIGHT")
        end
        return
    end
    call("LTRIM", key, #ring.groups, -1)
    for i = #waits, 1, -1 do
        call("LPUSH", key, waits[i].group)
    end
    table.sort(had, function(a, b) return a.turn < b.turn end)
    for _, g in ipairs(had) do
        call("RPUSH", key, g.group)
    end
end

local function lend(pick, job, pod, ttl_ms, default_timeout)
    local fence = math.max((tonumber(job.fence) or 0) + 1, pick.now)
    local attempt = (tonumber(job.attempts) or 0) + 1
    call("HSET", job.key, "state", "running", "fence", fence, "pod", pod,
         "attempts", attempt, "started_ms", pick.now)
    tally_move(job.parent, "ready", "running")
    return {
        job.id, fence, attempt, tonumber(job.timeout_ms) or default_timeout,
        job.fields,
    }
end

local function count_kinds(...)
    local kinds = {}
    for _, jobs in ipairs({...}) do
        for _, job in ipairs(jobs) do
            kinds[job.kind] = (kinds[job.kind] or 0) + 1
        end
    end
    return kinds
end

-- Everything was read; now it happens.
local function commit(pick, pod, ttl_ms, held, default_timeout)
    local lent, ends, ids = {}, {}, {}
    for _, ring in ipairs(pick.rings) do
        turn_ring(ring)
    end
    for i, job in ipairs(pick.jobs) do
        lent[i] = lend(pick, job, pod, ttl_ms, default_timeout)
        ends[2 * i - 1] = pick.now + ttl_ms
        ends[2 * i] = job.id
        ids[i] = job.id
    end
    if #ids > 0 then
        call("ZADD", leases, unpack(ends))
        call("SADD", held, unpack(ids))
    end
    for _, job in ipairs(pick.parks) do
        park(job.id, job.kind, pick.now)
    end
    for _, job in ipairs(pick.expired) do
        end_dead(job, pick.now, "expired before it was started", "ready")
    end
    local left = depth_add(count_kinds(pick.jobs, pick.parks, pick.expired),
                           -1)
    return lent, left
end

-- The earliest moment at which this queue may have something to claim: a due
-- job, the end of a lease, the end of a cool-down.  While there are leases
-- nobody stays away for more than a third of a TTL; see hear().
local function next_due(now, heard)
    local due = call("ZRANGE", scheduled, 0, 0, "WITHSCORES")[2]
    local lease = call("ZRANGE", leases, 0, 0, "WITHSCORES")[2]
    local at = tonumber(due) or 0
    if lease then
        local look_at = math.min(
            math.max(tonumber(lease), heard.quiet_end + heard.ttl),
            now + math.floor(heard.ttl / 3))
        at = at > 0 and math.min(at, look_at) or look_at
    end
    if heard.throttled_until > now then
        at = at > 0 and math.min(at, heard.throttled_until)
             or heard.throttled_until
    end
    return at
end

-- Returns the answer of claim.lua behind its status word.
local function claim(ask, now)
    local heard = hear(now, ask.ttl_ms)
    reclaim_expired(now, heard, 10)
    promote(now, 100)
    local c = call("HMGET", cfg, "max_workers", "paused", "timeout_ms")
    local cap = set_default(c[1], 1)
    local room = cap - call("ZCARD", leases)
    local limit = math.min(ask.limit, room, CLAIM_MAX)
    local status = "ok"
    if c[2] == "1" then
        status, limit = "paused", 0
    elseif heard.throttled_until > now then
        status, limit = "cooling", 0
    elseif room <= 0 then
        status, limit = "full", 0
    end
    local pick = {
        now = now, kinds = ask.kinds, memo = {}, seen = {}, jobs = {},
        parks = {}, expired = {}, rings = {}, turns = 0, budget = limit + 64,
    }
    local lent, left = {}, nil
    if limit > 0 then
        if call("EXISTS", parked_kinds) == 1 then
            unpark_handled(ask.kinds, limit, pick.memo)
        end
        for p = 0, 9 do
            if #pick.jobs < limit and pick.budget > 0 then
                pick_priority(pick, p, limit)
            end
        end
        lent, left = commit(pick, ask.pod, ask.ttl_ms, ask.held,
                            set_default(c[3], 600000))
    end
    if limit > 0 and #pick.rings == 0 and #lent == 0 then
        -- No group has an id: a count that says otherwise would wake pods for
        -- ever.
        call("DEL", depth)
        left = 0
    end
    left = left or tonumber(call("HGET", depth, "-")) or 0
    if left > 0 and room > #lent and status == "ok" or #pick.parks > 0 then
        wake_one()
    elseif left <= 0 then
        call("DEL", wake)
    end
    return {status, now, left > 0 and 1 or 0, next_due(now, heard), cap, lent}
end
