# Lists the snapshots of this step: path, size, the hash that it has and the hash that was recorded for it.
if [ -f /etc/kubernetes/manifests/etcd.yaml ] || [ -f /etc/kubernetes/manifests/kube-apiserver.yaml ]; then
  echo "reaches etcd"
fi
for f in "$DIR/$NAME".*.db; do
  [ -f "$f" ] || continue
  have=$(sha256sum "$f" | cut -d ' ' -f 1)
  want=$(cut -d ' ' -f 1 "$f.sha256" 2>/dev/null) || want=
  echo "snapshot $f ${have:-none} ${want:-none}"
done
