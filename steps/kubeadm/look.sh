# Reads what kubeadm left on this host: its own version, the images of the static pods, where an upgrade stands.
m=/etc/kubernetes/manifests
echo "kubeadm $(kubeadm version -o short 2>/dev/null)"
for c in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  if [ -f "$m/$c.yaml" ]; then
    echo "manifest $c $(sed -nE 's/^ *(- )?image: *//p' "$m/$c.yaml" | tr -d "\"'" | tr '\n' ' ')"
  else
    saved=$(ls -1d /etc/kubernetes/tmp/kubeadm-backup-manifests-*/"$c.yaml" 2>/dev/null | tail -n 1) || true
    echo "missing $c $saved"
  fi
done
if [ -f "$m/etcd.yaml" ]; then
  echo "etcd $(kubeadm config images list --kubernetes-version "v$VERSION" 2>/dev/null | sed -n 's,^.*/etcd:,,p')"
fi
if [ -f /var/lib/upgrader/kubeadm-upgrade ]; then
  echo "mark $(cat /var/lib/upgrader/kubeadm-upgrade)"
fi
if [ -f /var/lib/upgrader/kubeadm-plan ]; then
  echo "plan $(cat /var/lib/upgrader/kubeadm-plan)"
fi
