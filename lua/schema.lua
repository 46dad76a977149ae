#!lua flags=allow-oom
--[[
schema: writes the version of the key layout where there is none.
Not a plain SET: that is refused at maxmemory, where workers must be able to
start, and musterctl to look and to delete.

KEYS[1]  schema  string
ARGV[1]  the version of who asks
Returns  what stood there, nil where nothing did
]]
local schema, version = KEYS[1], ARGV[1]
local was = redis.call("GET", schema)
if not was then
    redis.call("SET", schema, version)
end
return was
