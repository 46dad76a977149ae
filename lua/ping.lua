--[[
ping: answers the server's clock, for tests of the connection and for doctor.

Returns  {"ok", now_ms}
]]
-- @include now
return {"ok", now_ms()}
