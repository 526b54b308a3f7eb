#!/bin/sh
# Drains jobs that do nothing from our queue and from the queues of libraries, in one run, and prints one table.
#
#     benches/queue.sh [JOBS]                100000 jobs, four worker processes of 16 places
#     benches/queue.sh --libraries [JOBS]    without our own queue
#     benches/queue.sh --kills [JOBS]        what SIGKILLs of workers do to 5000 jobs of the libraries
#
# It needs PostgreSQL with its contributed modules (hstore), and makes a server of its own in a temporary folder.
set -eu
cd "$(dirname "$0")/.."

what=all jobs=100000
case "${1:-}" in
    --libraries) what=libraries; shift ;;
    --kills) what=kills jobs=5000; shift ;;
esac
jobs=${1:-$jobs}
case "$jobs" in
    *[!0-9]*) echo "usage: benches/queue.sh [--libraries | --kills] [JOBS]" >&2; exit 2 ;;
esac
target=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR="$target"

# Debian keeps PostgreSQL's programs out of PATH.
programs=
for folder in $(echo "$PATH" | tr ':' ' ') /usr/lib/postgresql/*/bin; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && [ -x "$folder/createdb" ]; then programs=$folder; fi
done
if [ -z "$programs" ]; then echo "PostgreSQL (initdb, postgres, createdb) is not there" >&2; exit 1; fi

work=$(mktemp -d /tmp/queue.XXXXXX)
server= child=
finish() {
    status=$?
    trap - EXIT INT TERM HUP
    # A worker ends with the process that started it.
    [ -z "$child" ] || kill "$child" 2>/dev/null || true
    [ -z "$server" ] || kill -INT "$server" 2>/dev/null || true
    wait
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Runs a command so that a signal to this script is not held up by it.
run() {
    "$@" &
    child=$! ended=0
    wait "$child" || ended=$?
    child=
    return "$ended"
}

# PostgreSQL refuses to run as root.
ordinary=
mkdir "$work/postgres"
chmod 711 "$work"
if [ "$(id -u)" = 0 ]; then
    ordinary="setpriv --reuid=nobody --regid=$(id -g nobody) --clear-groups"
    chown nobody "$work/postgres"
fi
socket=$work/postgres

start_postgres() {
    (cd / && exec $ordinary "$programs/initdb" --no-locale --encoding=UTF8 --auth=trust --username=rebuilder \
        -D "$socket/data" >"$work/initdb.log" 2>&1) || { cat "$work/initdb.log" >&2; exit 1; }
    (cd / && exec $ordinary "$programs/postgres" -D "$socket/data" -k "$socket" -c listen_addresses= \
        -c max_connections=200 >"$work/postgres.log" 2>&1) &
    server=$!
    for _ in $(seq 100); do
        if "$programs/pg_isready" -q -h "$socket" -U rebuilder; then return; fi
        sleep 0.2
    done
    cat "$work/postgres.log" >&2
    exit 1
}

# Runs a trial in a database of its own: mode, library, and more options.
trial() {
    mode=$1 library=$2
    shift 2
    number=$((${number:-0} + 1))
    if [ "$library" = apalis-sqlite ]; then
        database=$work/jobs-$number.db
    else
        "$programs/createdb" -h "$socket" -U rebuilder "jobs$number"
        database="postgres://rebuilder@localhost/jobs$number?host=$socket"
    fi
    run "$target/release/queue-libraries" "$mode" --library "$library" --database "$database" \
        --journal "$work/journal-$number" --jobs "$jobs" "$@" >"$work/line"
    cat "$work/line"
    cat "$work/line" >>"$work/lines"
}

run cargo build --quiet --release --locked --manifest-path benches/queue-libraries/Cargo.toml
start_postgres

if [ "$what" = kills ]; then
    trial kills graphile-worker
    trial kills apalis-postgres
    trial kills apalis-postgres --new-names
    trial kills apalis-sqlite
    trial kills apalis-sqlite --new-names
    exit
fi

if [ "$what" = all ]; then
    export REBUILDER_QUEUE_JOBS="$jobs"
    # One database after the other, so that neither slows the other down.
    run cargo test --quiet --release --test it queue::rates -- --nocapture \
        --test-threads=1 >"$work/ours" 2>&1 || { cat "$work/ours" >&2; exit 1; }
    sed -nE 's/^.*(SQLite|PostgreSQL): (.* jobs enqueued .*)$/rebuilder, \1: \2/p' "$work/ours" | tee "$work/lines"
fi
trial drain apalis-postgres
trial drain graphile-worker
trial drain apalis-sqlite

# What "idle" measures of ours includes the verdict's way back; of a library, the way to the first line of the job.
echo
# A library that did not end all jobs in time has a row too.
sed -nE -e 's/^(.*): [0-9]+ jobs enqueued in ([0-9.]+) s, drained in ([0-9.]+) s by .*: ([0-9]+)\/s; .*: p50 ([^ ]+) ms, p99 ([^ ]+) ms; run twice or not done: ([0-9]+).*$/\1|\2|\3|\4|\5|\6|\7/p' \
    -e 's/^(.*): [0-9]+ jobs enqueued in ([0-9.]+) s, STOPPED with .* jobs done after ([0-9.]+) s by .*: ([0-9]+)\/s; run twice or not done: ([0-9]+).*$/\1|\2|stopped \3|\4|-|-|\5/p' "$work/lines" |
    awk -F'|' -v jobs="$jobs" '
        BEGIN {
            row = "%-24s %11s %13s %8s %9s %9s %14s\n"
            printf "%s jobs, 4 workers of 16 places\n", jobs
            printf row, "", "enqueued, s", "drained, s", "jobs/s", "p50, ms", "p99, ms", "twice or never"
        }
        { printf row, $1, $2, $3, $4, $5, $6, $7 }'
