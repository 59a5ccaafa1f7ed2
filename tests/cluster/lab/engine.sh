#!/usr/bin/env bash
# A Docker engine of one's own, for machines that have none and reach no image registry. It needs root
# and Debian's docker.io, runs beside others, and has no network of its own: builds use the host's.
#   engine.sh deps     install the Debian packages (needs one `apt-get update` before)
#   engine.sh up       start it, and give it the base image python-base:1 (made once, kept)
#   engine.sh down     stop it; leaves images and caches
#   engine.sh env      what a shell needs to use it: `eval "$(engine.sh env)"`
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/one-node-cluster}
STATE=$CACHE/engine
BASE=$CACHE/base-$(sha256sum "$HERE/tools/base-rootfs.sh" | cut -c1-16).tar
export DOCKER_HOST=unix://$STATE/docker.sock

deps() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends docker.io debootstrap
}

answers() { docker version >/dev/null 2>&1; }

make_base() {
  [[ -s $BASE ]] && return
  local folder
  folder=$(mktemp -d)
  "$HERE/tools/base-rootfs.sh" "$folder/root"
  tar -C "$folder/root" -c . >"$BASE.part"
  mv "$BASE.part" "$BASE"
  rm -rf "$folder"
}

up() {
  mkdir -p "$STATE"
  if ! answers; then
    rm -f "$STATE/pid"
    setsid dockerd --data-root "$STATE/data" --exec-root "$STATE/exec" -H "$DOCKER_HOST" --pidfile "$STATE/pid" \
      --iptables=false --bridge=none >"$STATE/log" 2>&1 </dev/null &
    local end=$((SECONDS + 30))
    until answers; do
      if ((SECONDS > end)); then tail -n 5 "$STATE/log" >&2; exit 1; fi
      sleep 0.2
    done
  fi
  make_base
  if ! docker image inspect python-base:1 >/dev/null 2>&1; then
    # What this machine's package index is trusted by, pip inside trusts too.
    docker import --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' "$BASE" python-base:1 >/dev/null
  fi
}

down() {
  [[ -s $STATE/pid ]] || return 0
  local pid
  pid=$(<"$STATE/pid")
  if grep -qsa dockerd "/proc/$pid/cmdline"; then
    kill "$pid"
    while [[ -e /proc/$pid ]]; do sleep 0.1; done
  fi
}

case ${1:-} in
  deps | up | down) "$1" ;;
  env) echo "export DOCKER_HOST=$DOCKER_HOST CLUSTER_BUILD='--network=host --build-arg BASE=python-base:1'" ;;
  *) sed -n '2,7p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
