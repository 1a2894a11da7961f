#!/bin/bash
# by-hand.sh VERSION [LAB] - upgrades a lab's cluster to VERSION by hand: the documented procedure for kubeadm, step by
# step, with the seconds that each step took. It is what upgrader is compared with.
#
# It does everything by `lab ssh` and `lab kubectl`. LAB_COMMAND is the lab command; by default it is built from here.
set -euo pipefail
[ $# = 1 ] || [ $# = 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
version=${1#v} minor=v${1#v} revision=${1#v}-1.1
minor=${minor%.*}
export LAB_NAME=${2:-${LAB_NAME:-lab}}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
log=$tmp/log
lab=${LAB_COMMAND:-$tmp/lab}
[ -n "${LAB_COMMAND:-}" ] || (cd "$(dirname "$0")" && go build -o "$lab" .)

step() { # step WHAT COMMAND...: does it, and says how long it took
    local what=$1 start
    shift
    start=$(date +%s%N)
    "$@" > "$log" 2>&1 || { tail -30 "$log" >&2; echo "by-hand.sh: $what failed" >&2; exit 1; }
    awk -v ns=$(($(date +%s%N) - start)) -v what="$what" 'BEGIN { printf "%6.1f s  %s\n", ns / 1e9, what }'
}
on() { "$lab" ssh "$@"; }
kubectl() { "$lab" kubectl "$@"; }
insist() { # the API server is away while it is replaced: tries again for two minutes
    local end=$((SECONDS + 120))
    until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 1; done
}
install() { # install HOST PACKAGES VERSIONED
    on "$1" "apt-mark unhold $2 && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 install -y $3 && apt-mark hold $2"
}
ready() { # the kubelet says it is of the new version and Ready; Ready alone is still there from before its restart
    kubectl wait "--for=jsonpath={.status.nodeInfo.kubeletVersion}=v$version" "node/$1" --timeout=120s &&
        kubectl wait --for=condition=Ready "node/$1" --timeout=120s
}
cordon() { # cordon HOST true, or cordon HOST "": an uncordon was seen to exit with 0 and not to hold, so look
    if [ -n "$2" ]; then kubectl cordon "$1"; else kubectl uncordon "$1"; fi &&
        now=$(kubectl get node "$1" -o 'jsonpath={.spec.unschedulable}') && [ "$now" = "$2" ]
}
etcdctl="ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt \
--cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key"

upgrade() { # upgrade HOST FIRST
    local h=$1
    step "$h: repository of $minor" on "$h" "sed -i 's#/v1\.[0-9]*/deb/#/$minor/deb/#' /etc/apt/sources.list.d/kubernetes.list && apt-get update"
    step "$h: kubeadm $revision" install "$h" kubeadm "kubeadm=$revision"
    if [ "$2" = first ]; then
        step "$h: etcd snapshot" on "$h" "$etcdctl snapshot save /var/lib/etcd-$version.db"
        step "$h: kubeadm upgrade plan" on "$h" "kubeadm upgrade plan v$version"
        step "$h: kubeadm upgrade apply" on "$h" "kubeadm upgrade apply --yes v$version"
    else
        step "$h: kubeadm upgrade node" on "$h" "kubeadm upgrade node"
    fi
    step "$h: cordon" insist cordon "$h" true
    step "$h: drain" insist kubectl drain "$h" --ignore-daemonsets --delete-emptydir-data --timeout=180s
    step "$h: kubelet and kubectl $revision" install "$h" "kubelet kubectl" "kubelet=$revision kubectl=$revision"
    step "$h: restart kubelet" on "$h" "systemctl daemon-reload && systemctl restart kubelet"
    step "$h: ready" insist ready "$h"
    step "$h: uncordon" insist cordon "$h" ""
}

which=first
for h in $(kubectl get nodes -o name | sed 's#^node/##' | sort); do # control planes come first
    upgrade "$h" "$which"
    which=next
done
echo "$SECONDS s in all"
kubectl get nodes
