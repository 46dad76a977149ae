-- @include hear
-- @include reclaim
-- @include promote
-- @include park
-- @include groups
-- @include flush
-- The claim itself, for claim and finish.

local CLAIM_MAX = 256
-- Payloads of one answer, about: a pod that asks for hundreds of small jobs and
-- meets large ones must not get hundreds of MiB that it has no room for.
local BYTES_MAX = 8 * 1024 * 1024

-- Groups that one claim opens at most in a priority: each is a list of its own
-- to read and to trim.  Where more of them wait, each gets one turn.
local GROUPS_MAX = 64
-- Moving a parked job back costs as much as lending it, and comes on top.
local UNPARK_MAX = 32

-- One group's list as the claim walks along it: it has come past `used` ids,
-- `ids` are those behind the first `before`.
local function open_group(p, group, want)
    local key = base .. "ready:" .. p .. ":" .. group
    return {
        key = key, group = group, priority = tostring(p), used = 0, turn = 0,
        before = 0,
        -- One more than is wanted tells whether something stays.
        ids = call("LRANGE", key, 0, want),
    }
end

-- The next id, which is not yet taken; nil at the end of the list.
local function peek_id(g)
    local id = g.ids[g.used + 1 - g.before]
    if not id and #g.ids > 0 then
        g.before = g.used
        g.ids = call("LRANGE", g.key, g.used, g.used + 15)
        id = g.ids[1]
    end
    return id
end

-- Looks at the job behind an id: what to do with it, or nil for an id whose
-- job is gone, not ready any more, in another list by now (its id was enqueued
-- anew), parked by an id in front of this one, or seen already.
local function look(pick, g, id)
    if pick.seen[id] or
       pick.is_any_parked and call("ZSCORE", parked, id) then
        return nil
    end
    local key = job_key(id)
    local fields = call_on_record("HGETALL", key)
    -- Eight names at once: a table that grows is the dearest part of this.
    local job = {
        id = id, key = key, fields = fields, kind = false, payload = false,
        created_ms = false, state = false, parent = false,
    }
    for i = 1, #fields, 2 do
        job[fields[i]] = fields[i + 1]
    end
    if not job.kind or job.state or (job.group or "-") ~= g.group or
       (job.priority or "5") ~= g.priority then
        return nil
    end
    pick.seen[id] = true
    return job
end

-- Sorts a ready job into what will be taken, parked, expired (what was begun in
-- time may come back as often as it must), or stopped with its parent.  True if
-- it was the group's turn that was used.
local function sort_job(pick, job)
    if job.parent then
        tally_know(job.parent)
        if is_stopping(job.parent) then
            pick.stopped[#pick.stopped + 1] = job
            pick.budget = pick.budget - 3 -- its end costs more than a look
            return false
        end
    end
    if job.expires_ms and not job.started_ms and
       (tonumber(job.expires_ms) or math.huge) <= pick.now then
        pick.expired[#pick.expired + 1] = job
        return false
    end
    if not handles(pick.kinds, job.kind, pick.memo) then
        pick.parks[#pick.parks + 1] = job
        pick.budget = pick.budget - 2 -- parking costs more than the look
        return false
    end
    pick.jobs[#pick.jobs + 1] = job
    pick.bytes = pick.bytes + #(job.payload or "")
    if pick.bytes >= BYTES_MAX then
        pick.budget = 0
    end
    if pick.group_max > 0 and job.group then
        pick.room[job.group] = pick.room[job.group] - 1
    end
    return true
end

-- One turn of one group: takes its next job that can be taken; false where
-- there is none.
local function take_turn(pick, g)
    while pick.budget > 0 do
        local id = peek_id(g)
        if not id then
            return false
        end
        g.used = g.used + 1
        pick.budget = pick.budget - 1
        local job = look(pick, g, id)
        if job and sort_job(pick, job) then
            pick.turns = pick.turns + 1
            g.turn = pick.turns
            return true
        end
    end
    return false
end

-- What group_max leaves to a group, over all priorities.
local function room_of(pick, names)
    if pick.group_max == 0 or #names == 0 then
        return
    end
    local counts = call("HMGET", running, unpack(names))
    for i, name in ipairs(names) do
        if name ~= "-" and not pick.room[name] then
            pick.room[name] = pick.group_max - set_default(counts[i], 0)
        end
    end
end

local function is_blocked(pick, name)
    return pick.group_max > 0 and name ~= "-" and pick.room[name] <= 0
end

-- The groups of a ring behind the first #groups, at most `want` that may run a
-- job, are added to `groups`.  Those at group_max are passed by; there are no
-- more of them than groups that run, or were picked to run in this call.
-- Returns how many were opened, and whether the ring may have more.
local function open_groups(pick, p, want, groups)
    local each_of = want
    want = math.min(want, GROUPS_MAX)
    local window, from = want, #groups
    if pick.group_max > 0 then
        window = math.min(want + call("HLEN", running) + #pick.jobs, 4000)
    end
    local names = call("LRANGE", KEYS[RING0 + p], from, from + window - 1)
    local n_open = 0
    local each = math.ceil(each_of / math.max(1, #names))
    room_of(pick, names)
    for _, name in ipairs(names) do
        if n_open == want then
            break
        elseif is_blocked(pick, name) then
            groups[#groups + 1] = {
                group = name, used = 0, turn = 0, is_passed = true,
            }
        else
            groups[#groups + 1] = open_group(p, name, each)
            n_open = n_open + 1
        end
    end
    pick.found = pick.found or #groups > 0
    return n_open, #groups < from + #names or #names == window
end

-- One turn each for the groups from `from` on; false where none had a job.
local function take_turns(pick, groups, from)
    local is_live = false
    for i = from, #groups do
        local g = groups[i]
        if #pick.jobs >= pick.limit then
            return false
        end
        if not g.is_passed and not is_blocked(pick, g.group) and
           take_turn(pick, g) then
            is_live = true
        end
    end
    return is_live
end

-- The groups of one priority take turns until enough was picked.  Groups at
-- the front may have nothing but ids whose jobs are gone, or that this pod
-- cannot run: those behind come before anyone's second turn, and before a lower
-- priority.
local function pick_priority(pick, p)
    local groups, n_open, may_more = {}, 0, true
    while may_more and #pick.jobs < pick.limit and pick.budget > 0 do
        local from, n = #groups + 1, nil
        n, may_more = open_groups(pick, p, pick.limit - #pick.jobs, groups)
        take_turns(pick, groups, from)
        n_open = n_open + n
        if n == 0 then
            break
        elseif may_more and n_open >= GROUPS_MAX and #pick.jobs > 0 then
            pick.limit = #pick.jobs
        end
    end
    while take_turns(pick, groups, 1) do end
    pick.may_more = pick.may_more or may_more
    for _, g in ipairs(groups) do
        g.stays = g.is_passed or peek_id(g)
        pick.may_more = pick.may_more or
            g.stays and not is_blocked(pick, g.group)
    end
    -- Where all are blocked, turning the ring would only cost.
    if n_open > 0 or #groups > 0 and pick.may_more then
        pick.rings[#pick.rings + 1] = {p = p, groups = groups}
    end
end

-- Most priorities have no work: one look at several of them at once.
local function pick_all(pick)
    for _, block in ipairs({{0, 4}, {5, 5}, {6, 9}}) do
        local first, last = block[1], block[2]
        local is_needed = #pick.jobs < pick.limit and pick.budget > 0
        if is_needed and (first == last or call("EXISTS",
                unpack(KEYS, RING0 + first, RING0 + last)) > 0) then
            for p = first, last do
                if #pick.jobs < pick.limit and pick.budget > 0 then
                    pick_priority(pick, p)
                end
            end
        end
    end
    pick.may_more = pick.may_more or #pick.jobs >= pick.limit or
                    pick.budget <= 0
end

local function push_groups(command, key, groups)
    local names = {}
    for i, g in ipairs(groups) do
        names[i] = g.group
    end
    if #names > 0 then
        call(command, key, unpack(names))
    end
end

-- Drops what was looked at from the lists; who had a turn, or may not have one
-- now, goes to the end of the ring, in the order of the turns.
local function turn_ring(ring)
    local key = KEYS[RING0 + ring.p]
    local waits, had = {}, {}
    for i, g in ipairs(ring.groups) do
        g.at = i
        if g.used > 0 then
            call("LTRIM", g.key, g.used, -1)
        end
        if g.stays then
            local of = (g.turn > 0 or g.is_passed) and had or waits
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
    table.sort(waits, function(a, b) return a.at > b.at end)
    table.sort(had, function(a, b) return a.turn < b.turn end)
    push_groups("LPUSH", key, waits)
    push_groups("RPUSH", key, had)
end

-- Redis formats each number that it is given with care and at length; `text`
-- is `now` ready-made.
local function lend(pick, job, pod, text, default_timeout)
    local fence, attempt, fence_text = pick.now, 1, text
    if job.fence and set_default(job.fence, 0) >= fence then
        fence = tonumber(job.fence) + 1
        fence_text = string.format("%.0f", fence)
    end
    if job.attempts then
        attempt = set_default(job.attempts, 0) + 1
    end
    call("HSET", job.key, "state", "running", "fence", fence_text, "pod", pod,
         "attempts", attempt == 1 and "1" or attempt, "started_ms", text)
    tally_move(job.parent, "ready", "running")
    group_add(job.group, 1)
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
    local text = string.format("%.0f", pick.now)
    local lease_end = string.format("%.0f", pick.now + ttl_ms)
    for i, job in ipairs(pick.jobs) do
        lent[i] = lend(pick, job, pod, text, default_timeout)
        ends[2 * i - 1] = lease_end
        ends[2 * i] = job.id
        ids[i] = job.id
    end
    if #ids > 0 then
        call("ZADD", leases, unpack(ends))
        call("SADD", held, unpack(ids))
    end
    park_all(pick.parks, pick.now)
    for _, job in ipairs(pick.expired) do
        end_dead(job, pick.now, "expired before it was started", "ready")
    end
    for _, job in ipairs(pick.stopped) do
        end_stopped(job, pick.now, "ready")
    end
    local left = depth_add(count_kinds(pick.jobs, pick.parks, pick.expired,
                                       pick.stopped), -1)
    return lent, left
end

local function first_score(key)
    return tonumber(call("ZRANGE", key, 0, 0, "WITHSCORES")[2])
end

-- The earliest moment at which this queue may have something to claim: a due
-- job, the end of a lease, the end of a cool-down.  While there are leases
-- nobody stays away for more than a third of a TTL; see hear().
local function next_due(now, heard, first_due, first_end)
    local at = first_due or 0
    if first_end then
        local look_at = math.min(
            math.max(first_end, heard.quiet_end + heard.ttl),
            now + math.floor(heard.ttl / 3))
        at = at > 0 and math.min(at, look_at) or look_at
    end
    if heard.throttled_until > now then
        at = at > 0 and math.min(at, heard.throttled_until)
             or heard.throttled_until
    end
    return at
end

-- What claim asks of the settings, in this order.
local CLAIM_SETTINGS = {"max_workers", "paused", "timeout_ms", "group_max"}

-- Returns the answer of claim.lua.  `c` are the CLAIM_SETTINGS.
local function claim(ask, now, c)
    local heard = hear(now, ask.ttl_ms)
    local first_end, first_due = first_score(leases), first_score(scheduled)
    if first_end and first_end <= now then
        reclaim_expired(now, heard, 10)
        groups_flush()
        first_end = first_score(leases)
    end
    if first_due and first_due <= now then
        promote(now, 32)
        first_due = first_score(scheduled)
    end
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
        parks = {}, expired = {}, stopped = {}, rings = {}, turns = 0, bytes = 0,
        limit = limit, budget = limit + 64,
        group_max = set_default(c[4], 0), room = {},
    }
    local lent, left, is_more_parked = {}, nil, false
    if limit > 0 then
        pick.is_any_parked = call("EXISTS", parked_kinds) == 1
        if pick.is_any_parked then
            -- One more than can be lent: then more is answered, and the pod
            -- comes back for the rest.
            local most = math.min(limit + 1, UNPARK_MAX)
            is_more_parked =
                unpark_handled(ask.kinds, most, pick.memo) == UNPARK_MAX
        end
        pick_all(pick)
        lent, left = commit(pick, ask.pod, ask.ttl_ms, ask.held,
                            set_default(c[3], 600000))
    end
    if limit > 0 and not pick.found then
        -- No group has an id: a count that says otherwise would wake pods for
        -- ever.
        call("DEL", depth)
        left = 0
    end
    left = left or tonumber(call("HGET", depth, "-")) or 0
    local may_more = is_more_parked or
                     left > 0 and (limit <= 0 or pick.group_max == 0 or
                                   pick.may_more)
    if #pick.parks > 0 then
        wake_all() -- who can run them is not known here
    elseif may_more and room > #lent and status == "ok" then
        wake_one()
    elseif not may_more then
        call("DEL", wake)
    end
    if #lent > 0 then
        first_end = math.min(first_end or math.huge, now + ask.ttl_ms)
    end
    return {
        status, now, may_more and 1 or 0,
        next_due(now, heard, first_due, first_end), cap, lent,
    }
end
