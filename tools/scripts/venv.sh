#!/bin/sh
# Make .venv and install one lock file into it: tools/scripts/venv.sh requirements.lock | requirements-dev.lock | ...
# Does nothing where that has been done for the same lock, Python and folder. PYTHON=... chooses the Python. With a port as
# the second argument nothing is installed unless that port is free.
set -eu
cd "$(dirname "$0")/../.."

lock=$1
port=${2:-}
stamps=.venv/locked
supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
complete='import venv, ensurepip'

say() { echo "venv: $*" >&2; }

# A name on the PATH proves nothing: a version manager's shim may stand there for a Python it does not have.
runs() { "$1" -c "$2" >/dev/null 2>&1; }

find_python() {
    incomplete=
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.13 python3.12 python3.11 python3 python; fi
    for candidate in "$@"; do
        if runs "$candidate" "$supported"; then
            if runs "$candidate" "$complete"; then
                python=$candidate
                return
            fi
            incomplete=$candidate
        fi
    done
    if [ -n "$incomplete" ]; then
        version=$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "$incomplete lacks its venv module: install python$version-venv (Debian, Ubuntu) or another Python 3.11-3.13"
    else
        say "needs Python 3.11, 3.12 or 3.13${PYTHON:+; $PYTHON is none}: install python3 and python3-venv, or name one with PYTHON=..."
    fi
    exit 1
}

# In the background a program ignores Ctrl-C, which would make Python print a traceback: it is ended here.
run() {
    "$@" &
    wait "$!"
}
interrupted() {
    kill "${!:-}" 2>/dev/null || true
    say "interrupted; run it again to continue"
    exit 130
}
trap interrupted INT TERM

require_port() {
    find_python
    listen='import sys; from socket import *; s = socket(); s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1])))'
    "$python" -c "$listen" "$port" 2>/dev/null || {
        echo "port $port cannot be used; choose another with PORT=" >&2
        exit 1
    }
}

# One line that changes whenever an installed .venv no longer fits.
stamp() { echo "$(cksum <"$1") $(.venv/bin/python -c 'import sys; print(sys.version)' | tr '\n' ' ') $(pwd -P)"; }

current() { [ "$(cat "$stamps/$1" 2>/dev/null)" = "$(stamp "$1" 2>/dev/null)" ] && [ -s "$stamps/$1" ]; }

# Another Python asked for by name than the one .venv was made with.
other_python() {
    [ -n "${PYTHON:-}" ] || return 1
    base='import sys; print(sys.version, sys.base_prefix)'
    [ "$(.venv/bin/python -c "$base" 2>/dev/null)" != "$("$PYTHON" -c "$base" 2>/dev/null)" ]
}

# Whole = the last installation came to its end; a half-made .venv is made again rather than trusted.
whole() { [ -d "$stamps" ] && runs .venv/bin/python "$supported" && runs .venv/bin/python 'import pip' && ! other_python; }

create() {
    find_python
    say "making .venv with $("$python" --version)"
    run "$python" -m venv --clear .venv
}

install() {
    total=$(grep -c '==' "$lock")
    say "installing $lock (about $total packages)"
    rm -f .venv/output && mkfifo .venv/output
    awk -v total="$total" "$progress" <.venv/output &
    shown=$!
    run .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off --use-pep517 \
        --require-hashes -r "$lock" >.venv/output 2>&1 || failed=yes
    wait "$shown"
    if [ -n "${failed:-}" ]; then
        say "the installation failed, see above; run it again to continue"
        exit 1
    fi
}

# Of pip's chatter one line a package is kept; what is not known to be chatter is shown as it is.
progress='
/^(Collecting|Processing|Requirement already satisfied:|Ignoring) / {
    count++
    if ($1 != "Collecting" && $1 != "Processing") next
    sub(".*/", "", $2)
    printf "  [%d/%d] %s\n", count, total, $2
    fflush()
    next
}
/^(Building wheels|Installing collected)/ { print "  " $1, $2; fflush(); next }
/^WARNING: Location .* is ignored/ { next }
/^ *(Looking|Downloading|Using|Getting|Preparing|Installing|Building|Created|Stored|Obtaining|Successfully|Attempting|Found|Uninstalling|Running) / { next }
{ print; fflush() }'

# One at a time: a second one must not begin anew what the first has half made. Where there is no flock, it is left to luck.
if command -v flock >/dev/null 2>&1; then
    exec 9>.venv.lock
    flock 9
fi
if whole && current "$lock"; then exit 0; fi
[ -z "$port" ] || require_port
whole || create
rm -rf "$stamps"
install
mkdir "$stamps.new"
stamp "$lock" >"$stamps.new/$lock"
# The dev lock holds the plain one with the same pins, and the benchmark's holds both.
[ "$lock" = requirements.lock ] || stamp requirements.lock >"$stamps.new/requirements.lock"
[ "$lock" != requirements-bench.lock ] || stamp requirements-dev.lock >"$stamps.new/requirements-dev.lock"
mv "$stamps.new" "$stamps"
