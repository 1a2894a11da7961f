# Installs the Kubernetes packages of REVISION from the repository of MINOR and holds them, unless that has been done.
# What an interrupted try has begun ends first.
set -eu
exec 9> /run/lock/lab
flock 9
if [ "$(apt-mark showhold kubelet kubeadm kubectl | wc -l)" = 3 ]; then
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
sed -i "s#/v1\.[0-9]*/deb/#/$MINOR/deb/#" /etc/apt/sources.list.d/kubernetes.list
dpkg --configure -a # what an earlier try has left
apt-get update
apt-get install --yes --no-install-recommends "kubelet=$REVISION" "kubeadm=$REVISION" "kubectl=$REVISION"
systemctl enable --quiet kubelet
apt-mark hold kubelet kubeadm kubectl
