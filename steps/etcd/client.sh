# How this host reaches etcd: the flags of its own member (stacked), or those of its API server (external).
# Sets: kind, data, etcdctl (the words that run it) and flags; defines ctl (both of them) and util (offline work on files).
kind=none flags= data= box=
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
etcdctl=etcdctl
ctl() { $etcdctl $flags "$@"; }
if command -v etcdctl >/dev/null 2>&1; then
  util() { if command -v etcdutl >/dev/null 2>&1; then etcdutl "$@"; else etcdctl "$@"; fi; }
elif [ "$kind" != none ]; then
  # No etcdctl of its own: borrow the one in the member's container, which sees the same certificates and data.
  box=$(soon crictl ps -q --name '^etcd$' | head -n 1)
  if [ -z "$box" ]; then
    echo "no etcdctl in $PATH and no running etcd container to borrow one from; install etcdctl on this host" >&2
    exit 3
  fi
  etcdctl="crictl exec $box etcdctl"
  util() { crictl exec "$box" etcdutl "$@" 2>/dev/null || crictl exec "$box" etcdctl "$@"; }
fi
