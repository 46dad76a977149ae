#!lua
--[[
ds_describe: writes what describes a dataset, once all its shards are stamped.

KEYS[1]  dataset   hash    shards gen epoch state created_ms id_field
KEYS[2]  names     set     of all datasets
ARGV[1]  name      the dataset's
ARGV[2]  epoch     that its shards were stamped with
ARGV[3]  shards    how many
ARGV[4]  gen       their generation
ARGV[5]  id_field  the documents' id
ARGV[6]  create    1: make it; 0: only when it is there (not dropped meanwhile)
Returns  {"ok", created}  1 when it was not there;  {"stale", epoch}  a newer
         leader was here;  {"differs", shards, gen, id_field}  it is there and
         is another one: nothing changed;  {"unknown"}
]]
local dataset, names = KEYS[1], KEYS[2]
local name, epoch = ARGV[1], tonumber(ARGV[2])
local shards, gen, id_field = ARGV[3], ARGV[4], ARGV[5]
local may_create = ARGV[6] == "1"

-- @include now
local seen = redis.call("HMGET", dataset, "epoch", "shards", "gen", "id_field")
if seen[1] and tonumber(seen[1]) > epoch then
    return {"stale", tonumber(seen[1])}
end
if seen[1] and (seen[2] ~= shards or seen[3] ~= gen or seen[4] ~= id_field) then
    return {"differs", seen[2], seen[3], seen[4]}
end
if not seen[1] and not may_create then
    return {"unknown"}
end
redis.call("HSET", dataset, "epoch", ARGV[2])
redis.call("SADD", names, name)
if seen[1] then
    return {"ok", 0}
end
redis.call("HSET", dataset, "shards", shards, "gen", gen, "id_field", id_field,
    "state", "open", "created_ms", now_ms())
return {"ok", 1}
