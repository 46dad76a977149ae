-- How long the counts of a minute wait for a roll that is late: two hours.
local KEEP_MINUTE_MS = 7200000
