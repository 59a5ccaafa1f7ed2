#!/usr/bin/env bash
# A real one-node Kubernetes from Go modules and Debian packages, no downloads of binaries or images.
#   cluster.sh deps    install the Debian packages (needs one `apt-get update` before)
#   cluster.sh build   compile what the cache lacks from Go modules (about 22 CPU-minutes when it is empty)
#   cluster.sh up      control plane, metrics-server and a real node (containerd, kubelet, kube-proxy, CoreDNS, volumes)
#   cluster.sh load IMAGE   import an image: an OCI or docker-save archive, or the tag of one that Docker has
#   cluster.sh down    end it all; leaves bin/ and caches
#   cluster.sh env         what a shell needs to use it: `eval "$(cluster.sh env)"`
#   cluster.sh status
# Everything runs under one `unshare` in its own PID and mount namespaces, so killing that one PID ends
# every component, shim, pod and mount. The network is the host's, so NodePorts answer on 127.0.0.1.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOOLS=$HERE/tools
CACHE=${CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/one-node-cluster}
# Compiled once and kept, in a folder named after all that decides what is compiled.
BIN=$CACHE/bin-$(cat "$TOOLS"/*/go.sum "$TOOLS"/*/*.go "$TOOLS/pause.c" | sha256sum | cut -c1-16)
RUN=$CACHE/run                       # state; a short path, unix sockets live below it
PKI=$RUN/pki CONF=$RUN/conf LOGS=$RUN/logs
NODE=node1
NODE_IP=10.123.0.1                   # on a bridge of our own; no packet to it leaves the machine
POD_CIDR=10.244.0.0/16 POD_SUBNET=10.244.0.0/24
SVC_CIDR=10.96.0.0/16 KUBE_IP=10.96.0.1 DNS_IP=10.96.0.10
API=https://127.0.0.1:6443
KUBECONFIG_ADMIN=$RUN/admin.kubeconfig
K8S_VERSION=v1.34.4
CTR="ctr -a $RUN/containerd-state/containerd.sock -n k8s.io"

say() { printf '%(%H:%M:%S)T %s\n' -1 "$*"; }
k() { "$BIN/kubectl" --kubeconfig "$KUBECONFIG_ADMIN" "$@"; }
wait_for() { # wait_for SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > end)); then say "gave up waiting for $what"; return 1; fi
    sleep 0.5
  done
}

# --- build ------------------------------------------------------------------------------------------
deps() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    containerd runc containernetworking-plugins debootstrap iptables conntrack busybox-static openssl iproute2 util-linux
}

compile() { # compile MODULE LDFLAGS PACKAGE...
  local mod=$1 ld=$2 p missing=(); shift 2
  for p in "$@"; do [[ -x $BIN/$(binary_name "$p") ]] || missing+=("$p"); done
  ((${#missing[@]})) || return 0
  for p in "${missing[@]}"; do
    say "building $p"
    (cd "$TOOLS/$mod" && CGO_ENABLED=0 go build -p 2 -trimpath -buildvcs=false -ldflags "-s -w $ld" \
      -o "$BIN/$(binary_name "$p")" "$p")
  done
}
binary_name() { # binary_name PACKAGE, of the module $mod
  case $1 in go.etcd.io/etcd/server/v3) echo etcd ;; .) echo "$mod" ;; *) basename "$1" ;; esac
}
build() {
  mkdir -p "$BIN"
  local v=k8s.io/component-base/version
  compile k8s "-X $v.gitVersion=$K8S_VERSION -X $v.gitMajor=1 -X $v.gitMinor=34 -X $v.gitTreeState=clean -X $v.buildDate=2026-01-01T00:00:00Z" \
    k8s.io/kubernetes/cmd/{kube-apiserver,kubelet,kube-controller-manager,kube-scheduler,kube-proxy,kubectl} \
    go.etcd.io/etcd/server/v3
  compile metrics-server "" sigs.k8s.io/metrics-server/cmd/metrics-server
  compile coredns "" .
  compile local-path "" github.com/rancher/local-path-provisioner
  compile hey "" github.com/rakyll/hey
  compile kube-score "" github.com/zegl/kube-score/cmd/kube-score
  compile compose-go "" .
  compile registry "" .
  if [[ ! -x $BIN/pause ]]; then
    gcc -Os -static -s -o "$BIN/pause" "$TOOLS/pause.c"
  fi
}

# --- certificates and kubeconfigs -------------------------------------------------------------------
make_ca() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$1" \
    -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$PKI/$1.key" -out "$PKI/$1.crt" 2>/dev/null
}
make_cert() { # make_cert CA NAME SUBJECT [SAN]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$3" \
    -keyout "$PKI/$2.key" -out "$PKI/$2.csr" 2>/dev/null
  openssl x509 -req -in "$PKI/$2.csr" -CA "$PKI/$1.crt" -CAkey "$PKI/$1.key" -CAcreateserial -days 3650 \
    -out "$PKI/$2.crt" -extfile <(
      echo 'keyUsage=critical,digitalSignature'
      echo 'extendedKeyUsage=clientAuth,serverAuth'
      [[ ${4:-} ]] && echo "subjectAltName=$4") 2>/dev/null
}
make_kubeconfig() { # make_kubeconfig CERT FILE
  cat >"$2" <<Y
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "$API", certificate-authority: $PKI/ca.crt}}]
users: [{name: $1, user: {client-certificate: $PKI/$1.crt, client-key: $PKI/$1.key}}]
contexts: [{name: lab, context: {cluster: lab, user: $1}}]
current-context: lab
Y
}
make_pki() {
  mkdir -p "$PKI"
  make_ca ca; make_ca front-proxy-ca
  make_cert ca apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$KUBE_IP"
  make_cert ca apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  make_cert front-proxy-ca front-proxy-client /CN=front-proxy-client
  make_cert ca admin /O=system:masters/CN=admin
  make_cert ca kube-controller-manager /CN=system:kube-controller-manager
  make_cert ca kube-scheduler /CN=system:kube-scheduler
  make_cert ca kube-proxy /CN=system:kube-proxy
  make_cert ca metrics-server /CN=system:metrics-server "DNS:metrics-server.kube-system.svc,IP:$NODE_IP"
  make_cert ca kubelet "/O=system:nodes/CN=system:node:$NODE" "DNS:$NODE,IP:$NODE_IP"
  openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/sa.key"
  openssl ec -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub" 2>/dev/null
  local c
  for c in kube-controller-manager kube-scheduler kube-proxy metrics-server kubelet; do
    make_kubeconfig $c "$CONF/$c.kubeconfig"
  done
  make_kubeconfig admin "$KUBECONFIG_ADMIN"
}

# --- configuration files ----------------------------------------------------------------------------
make_config() {
  mkdir -p "$CONF/cni"
  cat >"$CONF/containerd.toml" <<Y
version = 2
root = "$RUN/containerd"
state = "$RUN/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "$RUN/containerd-state/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$CONF/cni"
Y
  cat >"$CONF/cni/10-bridge.conflist" <<Y
{"cniVersion": "1.0.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$POD_SUBNET"}]], "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": "$RUN/cni-ipam"}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
Y
  : >"$CONF/resolv.conf"
  cat >"$CONF/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet.crt
tlsPrivateKeyFile: $PKI/kubelet.key
containerRuntimeEndpoint: unix://$RUN/containerd-state/containerd.sock
cgroupDriver: cgroupfs
clusterDomain: cluster.local
clusterDNS: [$DNS_IP]
resolvConf: $CONF/resolv.conf
failSwapOn: false
oomScoreAdj: 0
podLogsDir: $RUN/pod-logs
evictionHard: {memory.available: 100Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%, imagefs.inodesFree: 0%}
imageGCHighThresholdPercent: 100
registerWithTaints: []
Y
  echo '{"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["'"$RUN/pv"'"]}]}' >"$CONF/local-path.json"
  cat >"$CONF/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $CONF/kube-proxy.kubeconfig}
mode: iptables
clusterCIDR: $POD_CIDR
hostnameOverride: $NODE
oomScoreAdj: 0
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {localhostNodePorts: true, minSyncPeriod: 200ms, syncPeriod: 30s}
Y
}

# --- start ------------------------------------------------------------------------------------------
network_up() {
  if ! ip link show k8s0 >/dev/null 2>&1; then
    ip link add k8s0 type bridge
    ip addr add $NODE_IP/24 dev k8s0
    ip link set k8s0 up
  fi
  # Addresses nobody has must not wander out through the default route.
  ip route replace unreachable $POD_CIDR metric 1000
  ip route replace $SVC_CIDR dev k8s0
  echo 1 >/proc/sys/net/ipv4/ip_forward
  if [[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]]; then echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; fi
}

start() { # start NAME COMMAND... (inside the namespaces)
  local name=$1; shift
  "$@" >"$LOGS/$name.log" 2>&1 &
  echo $! >"$RUN/$name.nspid"
}

own() { mkdir -p "$1" "$RUN/own$1"; mount --bind "$RUN/own$1" "$1"; }

init() { # PID 1 of the cluster's PID namespace
  mount --make-rshared /
  umask 022
  # Default paths, but this cluster's own folders: only processes inside see these mounts.
  own /var/lib/kubelet; own /run/containerd; own /run/netns; own /var/lib/cni; own /var/log/containers
  start containerd containerd -c "$CONF/containerd.toml" -l warn
  start etcd "$BIN/etcd" --data-dir "$RUN/etcd" --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 \
    --unsafe-no-fsync --log-level warn
  start kube-apiserver "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    --secure-port=6443 --advertise-address=$NODE_IP --service-cluster-ip-range=$SVC_CIDR \
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --client-ca-file="$PKI/ca.crt" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" \
    --kubelet-client-key="$PKI/apiserver-kubelet-client.key" --kubelet-certificate-authority="$PKI/ca.crt" \
    --kubelet-preferred-address-types=InternalIP --allow-privileged=true \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$PKI/front-proxy-client.crt" --proxy-client-key-file="$PKI/front-proxy-client.key" \
    --enable-aggregator-routing=true --profiling=false
  # Before the default RBAC roles exist the controller manager gives up at once: wait for them.
  until k get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
  start kube-controller-manager "$BIN/kube-controller-manager" \
    --kubeconfig="$CONF/kube-controller-manager.kubeconfig" \
    --authentication-kubeconfig="$CONF/kube-controller-manager.kubeconfig" \
    --authorization-kubeconfig="$CONF/kube-controller-manager.kubeconfig" \
    --leader-elect=false --use-service-account-credentials=true --root-ca-file="$PKI/ca.crt" \
    --service-account-private-key-file="$PKI/sa.key" --cluster-signing-cert-file="$PKI/ca.crt" \
    --cluster-signing-key-file="$PKI/ca.key" --allocate-node-cidrs=true --cluster-cidr=$POD_CIDR \
    --service-cluster-ip-range=$SVC_CIDR \
    --horizontal-pod-autoscaler-sync-period=5s --horizontal-pod-autoscaler-cpu-initialization-period=10s \
    --horizontal-pod-autoscaler-initial-readiness-delay=5s
  start kube-scheduler "$BIN/kube-scheduler" --kubeconfig="$CONF/kube-scheduler.kubeconfig" \
    --authentication-kubeconfig="$CONF/kube-scheduler.kubeconfig" \
    --authorization-kubeconfig="$CONF/kube-scheduler.kubeconfig" --leader-elect=false
  until [[ -e $RUN/addons-applied ]]; do sleep 0.2; done      # its roles: it too gives up without them
  start metrics-server "$BIN/metrics-server" --kubeconfig="$CONF/metrics-server.kubeconfig" \
    --authentication-kubeconfig="$CONF/metrics-server.kubeconfig" \
    --authorization-kubeconfig="$CONF/metrics-server.kubeconfig" --secure-port=4443 \
    --tls-cert-file="$PKI/metrics-server.crt" --tls-private-key-file="$PKI/metrics-server.key" \
    --kubelet-use-node-status-port --kubelet-preferred-address-types=InternalIP \
    --kubelet-certificate-authority="$PKI/ca.crt" --metric-resolution=10s \
    --kubelet-request-timeout=5s
  start kubelet "$BIN/kubelet" --config="$CONF/kubelet.yaml" --kubeconfig="$CONF/kubelet.kubeconfig" \
    --hostname-override=$NODE --node-ip=$NODE_IP --housekeeping-interval=5s
  start kube-proxy "$BIN/kube-proxy" --config="$CONF/kube-proxy.yaml"
  start local-path-provisioner "$BIN/local-path-provisioner" start --kubeconfig "$KUBECONFIG_ADMIN" \
    --config "$CONF/local-path.json" --namespace kube-system --configmap-name local-path-config \
    --service-account-name local-path --helper-image localhost/busybox:1
  while :; do wait -n || true; sleep 1; done      # reap the orphans
}

load() {
  if [[ -f $1 ]]; then $CTR images import "$1" >/dev/null; return; fi
  local id known=$RUN/loaded-${1//[:\/]/-}     # which image the tag was when it was loaded
  id=$(docker image inspect --format '{{.Id}}' "$1")
  if [[ -s $known && $(<"$known") == "$id" ]]; then return; fi
  docker save "$1" | $CTR images import - >/dev/null
  echo "$id" >"$known"
}

up() {
  local t0=$SECONDS image
  if alive; then say "already up (pid $(<"$RUN/pid"))"; return 0; fi
  rm -rf "$RUN"; mkdir -p "$RUN" "$CONF" "$LOGS"
  say "certificates and configuration"; make_pki; make_config; network_up
  setsid unshare --mount --pid --fork --kill-child --mount-proc \
    "$BASH" "${BASH_SOURCE[0]}" _init >"$LOGS/init.log" 2>&1 </dev/null &
  echo $! >"$RUN/pid"
  wait_for 30 containerd $CTR version
  python3 "$TOOLS/image.py" --tag localhost/pause:1 --add "$BIN/pause:/pause" --entrypoint /pause -o "$RUN/pause.tar"
  python3 "$TOOLS/image.py" --tag localhost/coredns:1 --add "$BIN/coredns:/coredns" --entrypoint /coredns -o "$RUN/coredns.tar"
  mkdir -p "$RUN/busybox/bin" && cp /bin/busybox "$RUN/busybox/bin/"
  (cd "$RUN/busybox/bin" && for c in $(./busybox --list); do [[ $c == busybox ]] || ln -s busybox "$c"; done)
  python3 "$TOOLS/image.py" --tag localhost/busybox:1 --rootfs "$RUN/busybox" --entrypoint /bin/sh -o "$RUN/busybox.tar"
  for image in pause coredns busybox; do load "$RUN/$image.tar"; done
  wait_for 60 kube-apiserver k get --raw /readyz; say "apiserver ready"
  sed "s/NODE_IP/$NODE_IP/; s/DNS_IP/$DNS_IP/; s/CA_BUNDLE/$(base64 -w0 "$PKI/ca.crt")/" "$TOOLS/addons.yaml" | k apply -f - >/dev/null
  k apply -f "$TOOLS/coredns.yaml" -f "$TOOLS/local-path.yaml" >/dev/null
  : >"$RUN/addons-applied"
  wait_for 60 "the node" k wait --for=condition=Ready node/$NODE --timeout=1s; say "node ready"
  wait_for 60 CoreDNS k -n kube-system rollout status deploy/coredns --timeout=1s; say "CoreDNS ready"
  wait_for 60 "the metrics API" k get --raw /apis/metrics.k8s.io/v1beta1/nodes; say "metrics API ready"
  say "up in $((SECONDS - t0)) s; export KUBECONFIG=$KUBECONFIG_ADMIN"
}

alive() { [[ -s $RUN/pid ]] && grep -qsa _init "/proc/$(<"$RUN/pid")/cmdline"; }

# --- stop -------------------------------------------------------------------------------------------
down() {
  if alive; then
    local pid; pid=$(<"$RUN/pid")
    kill -KILL "$pid"                       # --kill-child takes PID 1 of the namespace, and so all the rest
    while [[ -e /proc/$pid ]] && ! grep -q 'State:.*Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.1; done
    sleep 0.5
  fi
  if [[ -x $BIN/kube-proxy ]] && ip link show k8s0 >/dev/null 2>&1; then
    "$BIN/kube-proxy" --cleanup >/dev/null 2>&1 || true
    local t rules                            # what kubelet and the bridge plugin left: rules, then their chains
    for t in filter nat mangle; do
      rules=$(iptables-save -t $t | grep -E '(KUBE|CNI)-' || true)
      { echo "*$t"
        sed -n 's/^-A/-D/p' <<<"$rules"
        sed -n 's/^:\([^ ]*\).*/-X \1/p' <<<"$rules"
        echo COMMIT; } | iptables-restore --noflush || true
    done
  fi
  ip link del cni0 2>/dev/null || true
  ip link del k8s0 2>/dev/null || true
  ip route del unreachable $POD_CIDR metric 1000 2>/dev/null || true
  local d                                     # cgroups that pods left, deepest first
  for d in /sys/fs/cgroup/*/kubepods; do
    if [[ -d $d ]]; then find "$d" -depth -type d -exec rmdir {} \; 2>/dev/null || true; fi
  done
  rm -rf "$RUN"
  say "down"
}

status() { alive && k get nodes,pods -A -o wide && k get --raw '/readyz?verbose' | tail -1; }

case ${1:-} in
  deps | build | down | status) "$1" ;;
  up) up ;;
  load) load "$2" ;;
  env) echo "export KUBECONFIG=$KUBECONFIG_ADMIN PATH=$BIN:\$PATH" ;;
  _init) init ;;
  *) sed -n '2,11p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
