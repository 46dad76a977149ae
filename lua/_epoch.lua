-- Refuses a leader older than one that this queue has seen: nil, or the newer
-- epoch.
local function newer_epoch(epoch)
    local seen = tonumber(call("HGET", meta, "epoch")) or 0
    if epoch < seen then
        return seen
    end
    if epoch > seen then
        call("HSET", meta, "epoch", string.format("%.0f", epoch))
    end
    return nil
end
