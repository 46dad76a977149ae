--[[
muster_limit_acquire, muster_limit_return, muster_limit_drain, muster_limit: a
rate limit, for callers outside of handlers.  The key is the limit itself,
ms:{FLEET}:limit:SCOPE.

ARGS of acquire  [N, 1 by itself], [MAX_WAIT_MS, 0 by itself]
     of return   N DRAINED (as acquire answered it)
     of drain    FOR_MS
Returns  acquire: {"scope", "acquired", "wait_ms", "drained"}: when acquired,
         wait so long and then look whether muster_limit still tells the same
         `drained`; else nothing was taken, and so long it would take, null for
         ever
         return: {"scope", "result"}: ok, or stale: a drain has forgotten them
         drain: {"scope", "blocked_until_ms"}
         muster_limit: the document of `musterctl limit show`
Errors   UNKNOWN there is none; INVALID more than it holds, no such number;
         STATE somebody wrote a setting that is no number
]]
local LIMIT_WANTED = "INVALID key: one key is wanted, ms:{FLEET}:limit:SCOPE"
local TOKENS_MAX, DAY_MS = 1000000, 86400000

-- The scope that a call is about, or nil and why there is none.
local function open_limit(keys, args, n_most)
    local fleet, scope
    if #keys == 1 then
        fleet, scope = string.match(keys[1], "^ms:{([^{}/]*)}:limit:(.*)$")
    end
    if not fleet then
        return nil, LIMIT_WANTED
    end
    for _, text in ipairs({fleet, scope}) do
        if not is_name(text) then
            return nil, "INVALID key: " .. shown(text) .. " is not a name"
        end
    end
    if #args > n_most then
        return nil, "INVALID arguments: at most " .. n_most .. " are wanted"
    end
    return scope
end

-- The number in `args[i]`; nil and why.
local function limit_number(args, i, name, least, most, default)
    local text = args[i] or default
    local n = text and whole(text, least, most)
    if not n then
        return nil, not_one_of(name, text or "", "a whole number from " ..
                               least .. " to " .. most)
    end
    return n
end

-- What a limit's script refuses, as an error; nil where it does not.
local function limit_refusal(scope, answer)
    local limit = " limit '" .. scope .. "'"
    if answer[1] == "unknown" then
        return refuse("UNKNOWN" .. limit .. ": there is none")
    elseif answer[1] == "broken" then
        return refuse("STATE" .. limit .. ": its " .. answer[2] ..
                      " is no such number")
    elseif answer[1] == "over" then
        return refuse("INVALID n:" .. limit .. " holds " .. answer[2] ..
                      " tokens")
    end
end

register("muster_limit_acquire", function(keys, args)
    local scope, why = open_limit(keys, args, 2)
    local n, max_wait
    if scope then
        n, why = limit_number(args, 1, "n", 1, TOKENS_MAX, "1")
    end
    if n then
        max_wait, why = limit_number(args, 2, "max_wait_ms", 0, DAY_MS, "0")
    end
    if not max_wait then
        return refuse(why)
    end
    local answer = ops.limit_acquire(keys, {n, "1", max_wait})
    local refusal = limit_refusal(scope, answer)
    if refusal then
        return refusal
    end
    local is_given = answer[1] == "ok"
    local wait = is_given and answer[3][1] or answer[4]
    return document({
        "scope", json_text(scope), "acquired", json_flag(is_given),
        "wait_ms", wait >= 0 and json_number(wait) or "null",
        "drained", json_number(answer[2]),
    })
end, {"allow-oom"})

register("muster_limit_return", function(keys, args)
    local scope, why = open_limit(keys, args, 2)
    local n, drained
    if scope then
        n, why = limit_number(args, 1, "n", 1, TOKENS_MAX)
    end
    if n then
        drained, why = limit_number(args, 2, "drained", 0, 2 ^ 52)
    end
    if not drained then
        return refuse(why)
    end
    local answer = ops.limit_return(keys, {n, drained})
    return limit_refusal(scope, answer) or document({
        "scope", json_text(scope), "result", json_text(answer[1]),
    })
end, {"allow-oom"})

register("muster_limit_drain", function(keys, args)
    local scope, why = open_limit(keys, args, 1)
    local for_ms
    if scope then
        for_ms, why = limit_number(args, 1, "for_ms", 0, DAY_MS)
    end
    if not for_ms then
        return refuse(why)
    end
    local answer = ops.limit_drain(keys, {for_ms})
    return limit_refusal(scope, answer) or document({
        "scope", json_text(scope), "blocked_until_ms", json_known(answer[2]),
    })
end, {"allow-oom"})

register("muster_limit", function(keys, args)
    local scope, why = open_limit(keys, args, 0)
    if not scope then
        return refuse(why)
    end
    local a = ops.limit_info(keys, {})
    return limit_refusal(scope, a) or document({
        "scope", json_text(scope), "capacity", a[2], "refill_per_second", a[3],
        "tokens", a[4], "blocked_until_ms", json_known(a[5]),
        "acquired", json_number(a[6]), "waited", json_number(a[7]),
        "refused", json_number(a[8]), "returned", json_number(a[9]),
        "drained", json_number(a[10]),
    })
end, {"no-writes"})
