#!/bin/bash
# demo.sh: the main job in one command, on a fresh Debian 12 or newer.
#
# Builds muster, starts a fleet of three workers with a Redis of its own in a
# scratch folder (a free port, never 6379), imports this machine's Debian
# package index in small chunks, kills one worker with -9 in the middle, and
# compares what arrived with an independent count of the input.
#
#     scripts/demo.sh           cleans up behind itself
#     scripts/demo.sh --keep    leaves the fleet up, and says how to stop it
#
# Exits 0 only if every document arrived once and none was changed.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

seconds_wanted=10  # how long the import with the killed worker should take
copies_first=3       # in the import that measures
copies_max=40
records_wanted=20000 # below that the package lists are missing

keep=no
case "${1:-}" in
"") ;;
--keep) keep=yes ;;
*)
    echo "usage: demo.sh [--keep]" >&2
    exit 2
    ;;
esac

bin=$PWD/build/bin
dir=$(mktemp -d "${TMPDIR:-/tmp}/muster-demo.XXXXXX")
fleet_pid=

# ---- what every part needs ----

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf '\ndemo: FAILED: %s\n' "$*" >&2
    exit 1
}

# The first number (or string) behind that key in the JSON on standard input.
json_number() { grep -o "\"$1\": *[0-9.]*" | head -n 1 | grep -o '[0-9.]*$'; }
json_string() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# "docs=5 bytes=7 checksum=ff" -> the value of $1.
sum_field() { tr ' ' '\n' | sed -n "s/^$1=//p"; }

ctl() { "$bin/musterctl" "$@"; }

is_running() { kill -0 "$1" 2>/dev/null; }

stop_fleet() {
    is_running "$fleet_pid" || return 0
    kill -TERM "$fleet_pid" # it stops workers, coordinator and Redis in turn
    for _ in $(seq 300); do
        is_running "$fleet_pid" || return 0
        sleep 0.1
    done
    kill -KILL "$fleet_pid" # its children die with it
}

tidy_up() {
    local code=$?
    if [ "$code" = 0 ] && [ "$keep" = yes ]; then
        return
    fi
    if [ "$code" != 0 ]; then
        tail -n 5 "$dir"/*.log "$dir"/fleet/*.log 2>/dev/null >&2 || true
    fi
    if [ -n "$fleet_pid" ]; then
        stop_fleet
        wait "$fleet_pid" 2>/dev/null || true
    fi
    rm -rf "$dir"
}
trap tidy_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- the build ----

build() {
    say "building (what is missing is installed first)"
    scripts/deps.sh
    if ! { cmake --preset release && cmake --build --preset release; } \
        >"$dir/build.log" 2>&1; then
        tail -n 40 "$dir/build.log" >&2
        fail "the build"
    fi
    "$bin/musterctl" --version
}

# ---- the input ----

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

count_records() { apt-cache dumpavail 2>>"$dir/apt.log" | grep -c ^Package: || true; }

# Paragraphs like those of the index, for a machine that has none.
made_index() {
    seq 60000 | awk '{ printf "Package: made-%d\nVersion: 1.%d\n" \
        "Description: a record that stands for a real one, number %d\n" \
        "Size: %d\n\n", $1, $1 % 97, $1, $1 * 7919 % 1000003 }'
}

read_index() {
    if [ "$(count_records)" -lt "$records_wanted" ]; then
        as_root apt-get -qq update >>"$dir/apt.log" 2>&1 </dev/null || true
    fi
    if [ "$(count_records)" -lt 1000 ]; then
        echo "there is no package index on this machine: made data it is"
        made_index >"$dir/index"
    else
        apt-cache dumpavail >"$dir/index"
    fi
}

# Makes $1 with $2 copies under ids of their own, and counts it on its own.
make_input() {
    "$bin/deb2ndjson" "$2" <"$dir/index" >"$1"
    "$bin/linesum" <"$1" >"$1.sum"
    printf '%s: %s\n' "$(basename "$1")" "$(cat "$1.sum")"
}

# How often the index must be repeated, from how long copies_first of them, $1
# bytes, took; bounded by the memory and the disk, since Redis holds it all.
choose_copies() {
    local size=$(($1 / copies_first)) seconds=$2 memory disk
    memory=$(awk '/^MemAvailable/ { print $2 * 1024 }' /proc/meminfo)
    disk=$(df -Pk "$dir" | awk 'NR == 2 { print $4 * 1024 }')
    awk -v size="$size" -v seconds="$seconds" -v wanted="$seconds_wanted" \
        -v memory="$memory" -v disk="$disk" -v first="$copies_first" \
        -v most="$copies_max" 'BEGIN {
        n = seconds > 0 ? int(wanted / seconds * first + 0.999) : most
        if (n > memory / 4 / size) n = int(memory / 4 / size)
        if (n > disk / 5 / size) n = int(disk / 5 / size)
        if (n > most) n = most
        print n < 1 ? 1 : n
    }'
}

# ---- the fleet ----

start_fleet() {
    local tries
    say "starting a fleet: Redis, a coordinator, three workers"
    # A group of its own, so that Ctrl-C reaches us alone, and we tidy up.
    setsid "$bin/musterctl" dev --workers 3 --queues default,dump \
        --dir "$dir/fleet" >"$dir/dev.out" 2>"$dir/dev.log" </dev/null &
    fleet_pid=$!
    for tries in $(seq 600); do
        grep -q '^ready ' "$dir/dev.out" && break
        is_running "$fleet_pid" || fail "the fleet did not start"
        [ "$tries" -lt 600 ] || fail "the fleet is not up after a minute"
        sleep 0.1
    done
    MUSTER_REDIS_URL=$(sed -n 's/^ready redis=\([^ ]*\).*/\1/p' "$dir/dev.out")
    export MUSTER_REDIS_URL
    cat "$dir/dev.out"
    ctl pod list
}

start_import() {
    ctl dump import "$1" --dataset "$2" --chunk-size "$3" --json |
        json_string id
}

wait_import() {
    ctl job wait "$1" --timeout 600s >"$dir/wait.log" 2>&1 ||
        fail "the import ended badly: $(ctl job show "$1" 2>&1)"
}

import_result() {
    ctl job show "$1" --json | grep -o '"result": *{[^}]*}'
}

# Waits until a third of the bytes have arrived, then kills the pod that runs a
# chunk at that moment.
kill_a_worker() {
    local id=$1 size=$2 shown bytes pod pid
    while :; do
        shown=$(ctl dump show "$id" --json)
        bytes=$(json_number bytes <<<"$shown")
        pod=$(grep -o '"pod": *"[^"]*"' <<<"$shown" | head -n 1 |
            json_string pod) || pod=
        [ "${bytes:-0}" -ge $((size / 3)) ] && [ -n "$pod" ] && break
        case "$(json_string state <<<"$shown")" in
        done | dead) fail "the import was over before a worker was killed" ;;
        esac
        sleep 0.1
    done
    pid=$(ctl pod list --json | grep -o "\"id\": *\"$pod\".*" | json_number pid)
    kill -KILL "$pid"
    echo "killed -9 the worker with pid $pid (pod $pod)" \
        "after $bytes of $size bytes"
}

# ---- the comparison ----

# compare WHAT GOT WANTED
compare() {
    if [ "$2" != "$3" ]; then
        fail "$1: $2 arrived, $3 in the input"
    fi
    printf '  %-44s %20s  ok\n' "$1" "$2"
}

check_import() {
    local id=$1 dataset=$2 sums=$3.sum result exported
    result=$(import_result "$id")
    exported=$(ctl dataset export "$dataset" | "$bin/linesum")
    compare "documents, as the import counted them" \
        "$(json_number docs <<<"$result")" "$(sum_field docs <"$sums")"
    compare "bytes read" \
        "$(json_number bytes <<<"$result")" "$(sum_field bytes <"$sums")"
    compare "checksum of the import" \
        "$(json_string checksum <<<"$result")" "$(sum_field checksum <"$sums")"
    compare "documents in the dataset" \
        "$(ctl dataset count "$dataset" --json | json_number count)" \
        "$(sum_field docs <"$sums")"
    compare "checksum of the dataset, exported" \
        "$(sum_field checksum <<<"$exported")" "$(sum_field checksum <"$sums")"
}

# ---- the tour ----

show() {
    printf '\n$ %s\n' "$*"
    "$@" 2>&1 | head -n 12 | cut -c 1-160
}

tour() {
    local id=$1
    say "what there is to see"
    PATH=$bin:$PATH
    show musterctl status
    show musterctl job show "$id"
    show musterctl dataset get archive bash
    show redis-cli -u "$MUSTER_REDIS_URL" HGETALL 'ms:{main/dump}:stats'
    show redis-cli -u "$MUSTER_REDIS_URL" \
        XREVRANGE 'ms:{main/dump}:events' + - COUNT 2
}

farewell() {
    [ "$keep" = yes ] || return 0
    cat <<TEXT

The fleet is up; everything it keeps is in $dir
    export PATH=$bin:\$PATH MUSTER_REDIS_URL=$MUSTER_REDIS_URL
    musterctl status
Stop it with
    kill $fleet_pid; rm -r $dir     # the folder when it has stopped
TEXT
}

# ---- ----

# Only what stands here counts, not the caller's own fleet.
for name in "${!MUSTER_@}"; do
    unset "$name"
done

build
say "the input: this machine's Debian package index"
read_index
make_input "$dir/packages.ndjson" "$copies_first"
start_fleet

say "a first import, to see how fast this machine is"
first=$(start_import "$dir/packages.ndjson" packages 1MiB)
wait_import "$first"
check_import "$first" packages "$dir/packages.ndjson"
took=$(import_result "$first" | json_number seconds)
size=$(sum_field bytes <"$dir/packages.ndjson.sum")
copies=$(choose_copies "$size" "${took:-1}")
echo "  in $took seconds"
ctl dataset drop packages >"$dir/drop.log" # its memory is needed

say "$copies copies of it under ids of their own, and a worker is killed"
make_input "$dir/archive.ndjson" "$copies"
size=$(sum_field bytes <"$dir/archive.ndjson.sum")
second=$(start_import "$dir/archive.ndjson" archive 1MiB)
kill_a_worker "$second" "$size"
wait_import "$second"
echo "done in $(import_result "$second" | json_number seconds) seconds," \
    "with two workers at the end"
check_import "$second" archive "$dir/archive.ndjson"

tour "$second"
farewell
printf '\ndemo: ok\n'
