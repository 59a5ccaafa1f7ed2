#!/bin/sh
# Makes .venv ready: tools/venv.sh run|dev|bench
#
#   run     the pinned requirements, the embedded database, the command `demijohn`
#   dev     run, and what tests and lint need
#   bench   dev, and .venv-bench/PEER for each peer that benchmarks compare with
#
# A second call with nothing changed does nothing: .venv/.ready-LEVEL and .venv-bench/PEER/.ready
# hold a checksum of all that the environment was made from. PYTHON names the interpreter to use.
set -eu
cd "$(dirname "$0")/.."
level=${1:?run, dev or bench}
log=.venv/install.log

say() { printf '%s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

suits() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    # The versions first that the embedded database has wheels for. A name may be there and
    # still not run (pyenv's shims), so each is tried.
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if suits "$name"; then say "$name"; return; fi
    done
    for name in ${PYTHON:-python3 python}; do
        found=$("$name" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null) || continue
        fail "demijohn needs Python 3.11 or newer with its venv module; $name is $found." \
            "Set PYTHON to one (on Debian and Ubuntu: apt-get install python3-venv)."
    done
    fail "demijohn needs Python 3.11 or newer, and ${PYTHON:-python3} was not found." \
        "Set PYTHON to one."
}

fingerprint() {
    { pwd; cat requirements*.txt tools/venv.sh; } | cksum
}

ready() {
    [ -x .venv/bin/python ] && [ "$(cat ".venv/.ready-$1" 2>/dev/null)" = "$fingerprint" ]
}

install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes "$@" >>"$log" 2>&1
}

install_or_fail() {
    install "$@" || { cat "$log" >&2; fail "The installation failed; see above."; }
}

link_command() {
    # The package is not built, the checkout itself is it: a path file makes it importable from
    # everywhere, and the command is written as pip writes one (a path may hold spaces, which
    # a `#!` line cannot).
    packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    pwd >"$packages/demijohn.pth"
    cat >.venv/bin/demijohn <<EOF
#!/bin/sh
'''exec' "$(pwd)/.venv/bin/python" -P "\$0" "\$@"
' '''
import sys

from demijohn.cli import main

sys.exit(main())
EOF
    chmod +x .venv/bin/demijohn
}

usable() {
    # One that the user made is kept. One that was moved is not: its commands name the old path.
    suits .venv/bin/python && [ "$(cat .venv/.home 2>/dev/null || pwd)" = "$(pwd)" ]
}

make_run() {
    if ! usable; then
        python=$(find_python)
        say "Making .venv with $("$python" --version)"
        rm -rf .venv
        "$python" -m venv .venv
    fi
    pwd >.venv/.home
    say "Installing the pinned requirements, once"
    # The embedded database as a wheel or not at all: building it takes a C++ tool chain.
    if ! install --only-binary secantusdb -r requirements-embedded.txt; then
        install_or_fail -r requirements.txt
    fi
    link_command
}

make_dev() {
    say "Installing what the tests need, once"
    install_or_fail -r requirements-dev.txt
}

make_peer() {
    # Its own libraries in its own versions; the interpreter is the service's.
    say "Installing a peer to compare with, once: $1"
    rm -rf ".venv-bench/$1"
    .venv/bin/python -m venv --without-pip ".venv-bench/$1"
    .venv/bin/python -m pip --python ".venv-bench/$1/bin/python" install --quiet --no-input \
        --disable-pip-version-check --require-hashes -r "$2" >>"$log" 2>&1 || {
        cat "$log" >&2
        fail "The installation of $1 failed; see above."
    }
}

reach_peers() {
    for requirements in tests/bench/peers/*/requirements.txt; do
        peer=$(basename "$(dirname "$requirements")")
        made_from=$({ pwd; .venv/bin/python --version; cat "$requirements"; } | cksum)
        [ "$(cat ".venv-bench/$peer/.ready" 2>/dev/null)" = "$made_from" ] && continue
        make_peer "$peer" "$requirements"
        say "$made_from" >".venv-bench/$peer/.ready"
    done
}

reach() {
    if ! ready "$1"; then
        "make_$1"
        say "$fingerprint" >".venv/.ready-$1"
    fi
}

tell_without_embedded() {
    if ! .venv/bin/python -c 'import importlib.metadata as m; m.version("secantusdb")' 2>/dev/null
    then
        say "The embedded database has no wheel for $(.venv/bin/python --version) on this system" \
            "(it has for 3.11 to 3.13 on Linux, Windows and Macs with Apple silicon)." \
            "Give the service a MongoDB: MONGODB_URI=mongodb://localhost:27017/"
    fi
}

fingerprint=$(fingerprint)
reach run
case $level in
    run) ;;
    dev) reach dev ;;
    bench) reach dev; reach_peers ;;
    *) fail "tools/venv.sh: run, dev or bench, not $level" ;;
esac
tell_without_embedded
