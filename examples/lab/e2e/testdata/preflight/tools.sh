# What the scripts that plant troubles have at hand.
set -eu
PATH=/usr/sbin:/sbin:$PATH
# k is kubectl as the administrator, own asks the API server of this very host.
k() { kubectl --kubeconfig=/etc/kubernetes/admin.conf "$@"; }
m=/etc/kubernetes/manifests
own() { k --server="https://$(sed -n 's/^    - --advertise-address=//p' $m/kube-apiserver.yaml):6443" "$@"; }
# keep saves a file, take saves it and removes it, restore puts it back.
kept() { echo "/root/kept$(echo "$1" | tr / -)"; }
keep() { cp -p "$1" "$(kept "$1")"; }
restore() { if [ -e "$(kept "$1")" ]; then cp -p "$(kept "$1")" "$1"; rm "$(kept "$1")"; fi; }
take() { mv "$1" "$(kept "$1")"; }
# runs COMPONENT succeeds where it runs as its manifest says, and the API knows.
runs() {
  pid=$(pgrep -f "^$1 ")
  [ "$(tr '\0' '\n' <"/proc/$pid/cmdline")" = "$(sed -n '/- command:/,/image:/s/^    - //p' "$m/$1.yaml")" ]
  k -n kube-system get pod "$1-$(hostname)" -o json | jq -e --arg id "$(crictl ps -q --name "$1")" '.status.containerStatuses[0] | .ready and (.containerID | contains($id))'
}
# etcd_now asks the member of this host.
etcd_now() {
  p=/etc/kubernetes/pki/etcd
  etcdctl --endpoints=https://127.0.0.1:2379 --cacert=$p/ca.crt --cert=$p/healthcheck-client.crt --key=$p/healthcheck-client.key "$@"
}
# config NAME KEY FILTER... passes a text in a ConfigMap of kubeadm's through a filter, unconfig puts it back.
config() {
  name=$1 key=$2; shift 2
  k -n kube-system get configmap "$name" -o json >"/root/kept-$name"
  jq -r --arg key "$key" '.data[$key]' "/root/kept-$name" | "$@" >/root/new
  k -n kube-system patch configmap "$name" --type merge -p "$(jq -n --arg key "$key" --rawfile text /root/new '{data: {($key): $text}}')"
}
unconfig() {
  k -n kube-system patch configmap "$1" --type merge -p "$(jq '{data}' "/root/kept-$1")"
  rm "/root/kept-$1"
}
