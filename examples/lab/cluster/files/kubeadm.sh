# Makes this host part of a cluster by `kubeadm VERB` with the configuration on stdin, unless it is. What an interrupted
# try has begun ends first, and is undone.
set -eu
exec 9> /run/lock/lab
flock 9
[ ! -e "$DONE" ] || exit 0
[ ! -e /etc/kubernetes/pki ] || kubeadm reset --force
cat > /root/kubeadm.yaml
# kubeadm before 1.30 or so checks a proxy for the URL of an IPv4 address in brackets, which the net/url of a current Go
# refuses to read. That is of our building it with such a Go, so this one check is left out.
kubeadm "$VERB" --config /root/kubeadm.yaml --ignore-preflight-errors=HTTPProxyCIDR $FLAGS
touch "$DONE"
