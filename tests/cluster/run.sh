#!/usr/bin/env bash
# The cluster tests from nothing to nothing. On a cluster of yours, the current kubectl context, say how
# it takes an image: CLUSTER_LOAD='minikube image load', 'kind load docker-image'; and where its node
# ports answer: CLUSTER_NODE="$(minikube ip)" [127.0.0.1]. Without CLUSTER_LOAD the cluster and the
# Docker engine of tests/cluster/lab are brought up (Debian, root, Go 1.26, gcc).
#   run.sh up               cluster, engine, images built and loaded; does again only what is missing
#   run.sh test [ARGS]      pytest on it
#   run.sh down             end the lab that `up` started from this checkout, and no other
set -euo pipefail
cd "$(dirname "$0")/../.."
LAB=tests/cluster/lab
STARTED=.venv/.lab-started
VERSION=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' demijohn/__init__.py)

use_lab() {
  eval "$("$LAB/cluster.sh" env)"
  eval "$("$LAB/engine.sh" env)"
  export CLUSTER_LOAD="$LAB/cluster.sh load" CLUSTER_LAB=1
}

lab_up() {
  # Says little and takes a second where all of it is there.
  "$LAB/cluster.sh" deps >/dev/null
  "$LAB/engine.sh" deps >/dev/null
  "$LAB/cluster.sh" build
  if ! "$LAB/cluster.sh" status >/dev/null 2>&1; then touch "$STARTED"; fi
  "$LAB/cluster.sh" up
  "$LAB/engine.sh" up
}

images() {
  local context
  context=$(mktemp -d)
  cp -r tests/support/standin tests/cluster/standin/Dockerfile requirements-embedded.txt "$context"
  docker build ${CLUSTER_BUILD:-} -q -t "flask-mongodb-app:$VERSION" . >/dev/null
  docker build ${CLUSTER_BUILD:-} -q -t "mongodb-standin:$VERSION" "$context" >/dev/null
  rm -rf "$context"
  local image
  for image in flask-mongodb-app mongodb-standin; do $CLUSTER_LOAD "$image:$VERSION"; done
}

if [[ ! ${CLUSTER_LOAD:-} ]]; then
  ((EUID == 0)) || { echo "tests/cluster/lab needs root; or give a cluster: CLUSTER_LOAD" >&2; exit 1; }
  for tool in go gcc python3; do
    command -v $tool >/dev/null || { echo "tests/cluster/lab needs $tool: its README" >&2; exit 1; }
  done
fi
own=0
[[ ${CLUSTER_LOAD:-} ]] || own=1
((own)) && use_lab
case ${1:-} in
  up)
    ((own)) && lab_up
    images
    ;;
  test) shift; exec .venv/bin/python -m pytest -q -m 'not soak' -n 2 --dist loadscope "$@" ;;
  soak) shift; exec .venv/bin/python -m pytest -m soak "$@" ;;
  down)
    if ((own)) && [[ -e $STARTED ]]; then
      "$LAB/engine.sh" down
      "$LAB/cluster.sh" down
      rm "$STARTED"
    fi
    ;;
  *) sed -n '2,9p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
