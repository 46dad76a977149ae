-- @include end
-- @include ready
-- Moves due jobs to ready, at most `limit`.
local function promote(now, limit)
    local ids = call("ZRANGE", scheduled, "-inf", now, "BYSCORE", "LIMIT", 0,
                     limit)
    local jobs = {}
    for _, id in ipairs(ids) do
        local rec = read(job_key(id), {"state", "kind", "priority", "group"})
        if rec.state == "scheduled" then
            jobs[#jobs + 1] = {
                id, rec.priority or 5, rec.group or "-", rec.kind,
            }
        end
    end
    if #ids > 0 then
        call("ZREM", scheduled, unpack(ids))
    end
    for _, job in ipairs(jobs) do
        call("HDEL", job_key(job[1]), "state", "due_ms")
        call("HSET", job_key(job[1]), "ready_ms", now)
    end
    if #jobs > 0 then
        push_ready(jobs)
    end
    return #ids
end
