-- An event of no queue; `id` is whose.
local function fleet_event(stream, now, type_of_event, id, detail)
    redis.call("XADD", stream, "MAXLEN", "~", "10000", "*", "at_ms", now,
               "type", type_of_event, "id", id, "kind", "", "pod", "",
               "actor", "", "detail", detail)
end
