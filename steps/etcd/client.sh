# How this host reaches etcd: the flags of its own member (stacked), or those of its API server (external).
# Sets: kind, flags, data; defines ctl (etcdctl with those flags) and util (offline work on files).
m=/etc/kubernetes/manifests
kind=none flags= data= box=
flag() { sed -n "s/^ *- --$2=//p" "$m/$1.yaml" | head -n 1 | tr -d "\"'"; }
if [ -f "$m/etcd.yaml" ]; then
  kind=stacked
  data=$(flag etcd data-dir)
  ca=$(flag etcd trusted-ca-file)
  pki=$(dirname "$ca")
  cert="$pki/healthcheck-client.crt" key="$pki/healthcheck-client.key"
  if [ ! -f "$cert" ]; then cert="$pki/server.crt" key="$pki/server.key"; fi
  url=$(flag etcd listen-client-urls | cut -d , -f 1)
  flags="--endpoints=$url --cacert=$ca --cert=$cert --key=$key"
elif [ -f "$m/kube-apiserver.yaml" ]; then
  kind=external
  flags="--endpoints=$(flag kube-apiserver etcd-servers)"
  ca=$(flag kube-apiserver etcd-cafile)
  if [ -n "$ca" ]; then
    flags="$flags --cacert=$ca --cert=$(flag kube-apiserver etcd-certfile) --key=$(flag kube-apiserver etcd-keyfile)"
  fi
fi
export ETCDCTL_API=3
if command -v etcdctl >/dev/null 2>&1; then
  ctl() { etcdctl $flags "$@"; }
  util() { if command -v etcdutl >/dev/null 2>&1; then etcdutl "$@"; else etcdctl "$@"; fi; }
elif [ "$kind" != none ]; then
  # No etcdctl of its own: borrow the one in the member's container, which sees the same certificates and data.
  box=$(crictl ps -q --name '^etcd$' 2>/dev/null | head -n 1) || true
  if [ -z "$box" ]; then
    echo "no etcdctl in $PATH and no running etcd container to borrow one from; install etcdctl on this host" >&2
    exit 3
  fi
  ctl() { crictl exec "$box" etcdctl $flags "$@"; }
  util() { crictl exec "$box" etcdutl "$@" 2>/dev/null || crictl exec "$box" etcdctl "$@"; }
fi
