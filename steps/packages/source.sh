# Tells where packages of Kubernetes may come from, and what apt knows of kubeadm:
#
#   foreign | rpm
#   source /etc/apt/sources.list.d/kubernetes.list:1:deb [signed-by=...] https://pkgs.k8s.io/core:/stable:/v1.27/deb/ /
#   offer | kubeadm | 1.28.15-1.1 | https://pkgs.k8s.io/core:/stable:/v1.28/deb  Packages
if [ -x /usr/bin/rpm ] && [ ! -x /usr/bin/dpkg ]; then
  echo "foreign | rpm"
  exit 0
fi
grep -s -n -E '^[^#]*/v[0-9]+\.[0-9]+/deb|^[Ss]igned-[Bb]y:|^[^#]*(apt\.kubernetes\.io|packages\.cloud\.google\.com/apt)' \
  /dev/null /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources | sed 's/^/source /' || :
apt-cache madison kubeadm 2>/dev/null | sed -E 's/^ */offer | /' || :
