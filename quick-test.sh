#!/usr/bin/env bash
# The main job, from nothing but Python: starts an embedded Temporal server and a worker, registers
# CIRR, runs events through its workflows, compares with local evaluation, and asks the result.
#   ./quick-test.sh             the reference example
#   ./quick-test.sh FILE...     events of your own (.jsonl, .csv, .parquet; columns session, time, ...)
#   ./quick-test.sh --streaming [OPTION...]   sessions through Pulsar, watched live: see timeline demo --help
set -euo pipefail
streaming=""
if [ "${1:-}" = "--streaming" ]; then
    streaming=yes
    shift
fi
files=()
for file in "$@"; do
    [ -n "$streaming" ] && break
    case "$file" in
        -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "error: no option $file; give files of events, --streaming first, or nothing" >&2; exit 2 ;;
    esac
    if [ ! -r "$file" ]; then
        echo "error: cannot read $file" >&2
        exit 2
    fi
    files+=("$(cd "$(dirname "$file")" && pwd)/$(basename "$file")")
done
cd "$(dirname "$0")"
. .ci/setup
setup_environment requirements.lock
export PATH="$PWD/.venv/bin:$PATH"
[ -z "$streaming" ] || exec timeline demo "$@"

work="$(mktemp -d)"
dev=""
cleanup() {
    if [ -n "$dev" ]; then
        kill "$dev" 2>/dev/null || true
        wait "$dev" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A server of our own: whatever the environment says of another must not reach it.
for name in $(compgen -e | grep '^TEMPORAL_' || true); do unset "$name"; done
: >"$work/temporal.toml"
export TEMPORAL_CONFIG_FILE="$work/temporal.toml"

echo "== starting an embedded Temporal server and a worker"
timeline dev --port 0 --headless --db "$work/dev.db" --ready-file "$work/ready" >"$work/dev.out" 2>&1 &
dev=$!
for _ in $(seq 600); do
    [ -s "$work/ready" ] && break
    if ! kill -0 "$dev" 2>/dev/null; then break; fi
    sleep 0.1
done
if [ ! -s "$work/ready" ]; then
    cat "$work/dev.out" >&2
    echo "error: the server did not start" >&2
    exit 2
fi
TEMPORAL_ADDRESS="$(cat "$work/ready")"
export TEMPORAL_ADDRESS

echo "== registering CIRR"
timeline register examples/cirr.toml
if [ "${#files[@]}" -gt 0 ]; then
    echo "== dry run: ${#files[@]} files through the workflows, and the same by local evaluation"
    timeline dry-run examples/cirr.toml "${files[@]}"
    echo "== the nodes"
    timeline describe cirr
else
    echo "== dry run: the reference example through the workflows, and the same by local evaluation"
    timeline dry-run examples/cirr.toml --at 7s --at 8s --at 9s --at 10s
    echo "== every node's own timeline, as the workflows have it"
    timeline show cirr reference --to 10s
    echo "== asking the result workflow for duration_where at 7, 8, 9 and 10 s"
    timeline query cirr reference --at 7s --at 8s --at 9s --at 10s
fi
echo "== done"
