#!/usr/bin/env bash
# What CI checks, from nothing but Python. Stops at the first thing that is wrong.
#
#   tests/run.sh        everything (also: tests/run.sh all)
#   tests/run.sh fast   lint, types, floors, and the tests that need no server and no broker
#   tests/run.sh fuzz   many random schedules, of deliveries and of faults on real servers (an hour)
#   tests/run.sh real   all tests that need a server on a real Temporal server, which is built if need be
#   tests/run.sh ...    other arguments go to pytest: tests/run.sh -k late
#
# JOBS says how many tests run at once (2 unless told); each process has a server and a broker of its own.
# `all` runs what depends on the server most on a real one too, if `real` has built it before; with
# TIMELINE_REAL_SERVER=1 it builds it.
# CASES and SCHEDULES say how much of a fuzz is run.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/setup
setup_environment requirements-dev.lock
export PATH="$PWD/.venv/bin:$PATH"
jobs="${JOBS:-2}"

check() {
    echo "== ruff"
    ruff check .
    ruff format --check .
    echo "== mypy"
    mypy
    echo "== floors"
    lint-imports --no-logo
    echo "== pytest"
}

case "${1:-all}" in
fast)
    check
    exec python -m pytest -n "$jobs" --dist worksteal --ignore=tests/system "${@:2}"
    ;;
all)
    check
    # Changes the keys of its process, where it must be alone.
    TIMELINE_TESTS_ALONE=1 python -m pytest tests/system/test_keys.py
    # What depends on the server most, on a real one where there is one.
    if why="$(python -m tests.support.cluster.binaries --missing)"; then
        TIMELINE_TEST_SERVER=real python -m pytest -n "$jobs" --dist loadfile -m real_server tests/system
    else
        echo "not run on a real server: $why"
    fi
    # A file stays in one process. In their order, the short ones come last and even out the end.
    exec python -m pytest -n "$jobs" --dist loadfile --no-loadscope-reorder "${@:2}"
    ;;
real)
    python -m tests.support.cluster.binaries
    export TIMELINE_TEST_SERVER=real
    exec python -m pytest -n "$jobs" --dist loadfile tests/system "${@:2}"
    ;;
fuzz)
    python -m tests.support.schedules --cases "${CASES:-20000}"
    exec python -m tests.system.faults --schedules "${SCHEDULES:-300}" --first "$((RANDOM * 1000))"
    ;;
*)
    check
    exec python -m pytest "$@"
    ;;
esac
