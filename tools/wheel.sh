#!/bin/sh
# Builds the wheel of the last commit into a directory: tools/wheel.sh [DIRECTORY], `dist` by default.
#
# The same commit gives the same bytes, wherever, whenever and by whomever it is built with the pinned
# setuptools: files come from Git and not from the working directory, whose modes are those of
# somebody's umask, and times are the commit's (reproducible-builds.org, SOURCE_DATE_EPOCH).
set -eu
cd "$(dirname "$0")/.."
python=$(pwd)/.venv/bin/python
mkdir -p "${1:-dist}"
goal=$(cd "${1:-dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

umask 022
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC PYTHONHASHSEED=0
git -c tar.umask=0022 archive HEAD | tar -x -C "$work"
# Nothing is fetched: the back end is the one of requirements-dev.txt, checked by its hash.
"$python" -m pip wheel --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation \
    --wheel-dir "$goal" "$work"
"$python" -m pip hash "$goal"/demijohn-*.whl
