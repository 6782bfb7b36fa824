#!/usr/bin/env bash
# Everything that CI checks, from nothing but Python: lint, format, types, floors, tests.
# Arguments go to pytest: tests/run.sh -k late
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/setup
setup_environment requirements-dev.lock
export PATH="$PWD/.venv/bin:$PATH"

echo "== ruff"
ruff check .
ruff format --check .
echo "== mypy"
mypy
echo "== floors"
lint-imports --no-logo
echo "== pytest"
exec python -m pytest "$@"
