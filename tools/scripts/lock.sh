#!/bin/sh
# Write the lock files from pyproject.toml. Pins are kept unless asked otherwise: tools/scripts/lock.sh --upgrade
set -eu
cd "$(dirname "$0")/../.."

# The oldest that it must run on.
version=3.11

lock() {
    output=$1
    shift
    echo "locking $output"
    .venv/bin/python -m uv pip compile --quiet --universal --python-version "$version" --generate-hashes \
        --no-header --no-annotate --output-file "$output" "$@" >/dev/null
}

lock requirements.lock pyproject.toml "$@"
# Constrained, so that what is tested is what is run.
lock requirements-dev.lock pyproject.toml --extra dev --constraint requirements.lock "$@"
lock requirements-bench.lock pyproject.toml --extra dev --extra bench --constraint requirements-dev.lock "$@"
echo 'mysqlclient>=2.2.4' | lock requirements-mysql.lock - "$@"
echo 'mysqlclient-static>=2.3' | lock requirements-mysql-static.lock - "$@"
# The stock clients, each as a user installs it: not with the exchange, and those apart that share a package's name.
printf '%s\n' ccxt freqtrade python-binance | lock requirements-clients.lock - "$@"
echo binance-connector | lock requirements-connector.lock - "$@"
version=3.12
echo hummingbot | lock requirements-hummingbot.lock - "$@"
