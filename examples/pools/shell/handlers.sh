#!/bin/sh
# Handlers of the kinds sh.*, one for each way in which a job can go:
#
#     pools:
#       - { kinds: ["sh."], argv: [sh, examples/pools/shell/handlers.sh] }
#
# A shell reads no JSON.  What it can read safely is what muster wrote at known
# places: id, queue and kind stand first, in this order and without a quote
# inside of them; attempt, fence and cursor last.  From payloads this takes
# whole numbers and plain words only; use jq, or another language, for more.
# A cancel is SIGTERM for the whole process group, `sleep` included.

exec 3>&1 1>&2 # what commands print goes to the log, not between the lines

say() { # JSON without its braces
    printf '{"id":"%s",%s}\n' "$id" "$1" >&3
}

part() { # a piece of the line, by a pattern
    printf '%s\n' "$line" | sed -n "s/$1/\\1/p"
}

number() { # a whole number of the payload, or the default
    found=$(part ".*\"payload\":{.*\"$1\":\\([0-9]*\\)[,}].*")
    printf '%s' "${found:-$2}"
}

count() { # up to "to", from the cursor; a first attempt may stop at "fail_at"
    to=$(number to 0) fail_at=$(number fail_at 0) pause=$(number pause_ms 0)
    from=$(part '.*,"cursor":\([0-9]*\)}$')
    n=${from:-0}
    while [ "$n" -lt "$to" ]; do
        [ "$pause" -eq 0 ] || sleep "$((pause / 1000)).$((pause % 1000 / 100))"
        n=$((n + 1))
        say "\"progress\":$((n * 100 / to))e-2,\"cursor\":$n"
        if [ "$n" -eq "$fail_at" ]; then
            say "\"status\":\"error\",\"message\":\"stopped at $n\""
            return
        fi
    done
    say "\"status\":\"ok\",\"result\":{\"from\":${from:-0},\"to\":$to}"
}

while IFS= read -r line; do
    id=$(part '^{"id":"\([^"]*\)",.*')
    kind=$(part '^{"id":"[^"]*","queue":"[^"]*","kind":"\([^"]*\)",.*')
    case $kind in
    sh.hello)
        name=$(part '.*"payload":{[^{}]*"name":"\([A-Za-z0-9 ]*\)".*')
        echo "greeting $name"
        attempt=$(part '.*,"attempt":\([0-9]*\),"fence":[0-9]*,"cursor":.*')
        say "\"status\":\"ok\",\"result\":{\"hello\":\"$name\",\"attempt\":$attempt}"
        ;;
    sh.fail) say '"status":"error","message":"this never works"' ;;
    sh.refuse) say '"status":"dead","message":"no such customer"' ;;
    sh.busy)
        say '"status":"throttled","message":"429 from the API","retry_after_s":30'
        ;;
    sh.count) count ;;
    *) say '"status":"dead","message":"no such kind"' ;;
    esac
done
