-- @include end
-- @include ready
-- @include groups
-- @include move
-- @include park
-- What finish, release and renew have in common: whose write it is, and taking
-- the job out of where it was.

-- "run": apply it; "ok": it took effect in an earlier call; "gone": no record;
-- "stale": an old fence, another pod, or taken away for good.
local function standing(rec, pod, fence)
    if not rec.kind then
        return "gone"
    end
    if rec.pod ~= pod or tonumber(rec.fence) ~= fence then
        return "stale"
    end
    if rec.state == "running" then
        return "run"
    end
    if tonumber(rec.settled) == fence or rec.state == "done" then
        return "ok"
    end
    if not rec.state then
        return "run" -- taken back, and nobody else has claimed it
    end
    return "stale"
end

-- Its lease had ended and it was taken back, but its pod spoke before anybody
-- else claimed it: the claim counts after all, and the crash does not, if one
-- was counted.
local function undo_reclaim(rec)
    local is_spared = tonumber(rec.spared) == tonumber(rec.fence)
    rec.attempts = set_default(rec.attempts, 0) + 1
    rec.crashes = math.max(0, set_default(rec.crashes, 0) -
                              (is_spared and 0 or 1))
    call("HSET", rec.key, "attempts", rec.attempts, "crashes", rec.crashes)
    if not unpark(rec.id, rec.kind) then
        depth_add({[rec.kind] = 1}, -1) -- its id is dropped at its turn
    end
end

-- Removes the job from its place; returns that place's name in a tally.
local function take_out(rec, gone)
    if rec.state == "running" then
        gone[#gone + 1] = rec.id
        group_add(rec.group, -1)
        return "running"
    end
    undo_reclaim(rec)
    return "ready"
end

local function drop_leases(held, gone)
    if #gone > 0 then
        call("ZREM", leases, unpack(gone))
        call("SREM", held, unpack(gone))
    end
end
