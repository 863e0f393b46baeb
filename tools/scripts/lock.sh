#!/bin/sh
# Write the lock files from pyproject.toml. Pins are kept unless asked otherwise: tools/scripts/lock.sh --upgrade
set -eu
cd "$(dirname "$0")/../.."

lock() {
    output=$1
    shift
    echo "locking $output"
    .venv/bin/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --output-file "$output" "$@" >/dev/null
}

lock requirements.lock pyproject.toml "$@"
# Constrained, so that what is tested is what is run.
lock requirements-dev.lock pyproject.toml --extra dev --constraint requirements.lock "$@"
lock requirements-bench.lock pyproject.toml --extra dev --extra bench --constraint requirements-dev.lock "$@"
echo 'mysqlclient>=2.2.4' | lock requirements-mysql.lock - "$@"
echo 'mysqlclient-static>=2.3' | lock requirements-mysql-static.lock - "$@"
