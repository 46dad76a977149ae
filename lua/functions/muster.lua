#!lua name=muster
--[[
muster: the operations on jobs and queues for every client of Redis.

    FCALL muster_enqueue 1 ms:{main/mail}:cfg mail.send '{"to":7}' priority 3

Each function takes one key, the settings of the queue, which names fleet and
queue and routes the call on a Redis Cluster; all other keys share its hash
tag.  (Those of a rate limit take that limit's key.)  An answer is one JSON
document, a refusal is an error reply that begins with INVALID, UNKNOWN, STATE
or FULL and names the field, and then nothing was stored.  A payload is stored
as it came and never parsed here.

The work is done by the same scripts that muster's programs send: each is
wrapped into a function of its keys and arguments at build time.
]]
-- @release
local ops = {}
-- @operation enqueue
-- @operation add_children
-- @operation cancel
-- @operation retry
-- @operation run_now
-- @operation delete
-- @operation pause
-- @operation queue_info
-- @operation limit_acquire
-- @operation limit_return
-- @operation limit_drain
-- @operation limit_info
-- @part names
-- @part answer
-- @part queue
-- @part options
-- @part enqueue
-- @part batch
-- @part job
-- @part show
-- @part limit
