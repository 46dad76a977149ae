-- Why a caller with this epoch may not touch the shard; nil: it may.
-- A caller with a newer epoch than the shard's passes: the descriptor is
-- written last, so the shard's own stamp was lost in a failover.
local function shard_refusal(meta, epoch)
    local seen = redis.call("HMGET", meta, "epoch", "state")
    if not seen[1] then
        return {"moved", 0}
    end
    if tonumber(seen[1]) > epoch or seen[2] ~= "open" then
        return {"moved", tonumber(seen[1])}
    end
end
