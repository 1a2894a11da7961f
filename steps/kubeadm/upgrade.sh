# kubeadm upgrade apply or node, and a mark that says whether it came to its end: kubeadm-config and the static pods are
# at the new version before kubeadm has done the rest (kubelet configuration, RBAC, addons).
dir=/var/lib/upgrader
mkdir -p "$dir"
umask 022 # as in an operator's shell: kubeadm writes certificates and configuration that others may read
mark() {
  echo "$1" >"$dir/kubeadm-upgrade.part"
  sync "$dir/kubeadm-upgrade.part"
  mv "$dir/kubeadm-upgrade.part" "$dir/kubeadm-upgrade"
  sync "$dir"
}
if [ "$VERB" = apply ]; then
  set -- upgrade apply -y "v$VERSION"
else
  set -- upgrade node
fi
if [ -n "$CONFIG" ]; then set -- "$@" "--config=$CONFIG"; fi
if [ -n "$IGNORE" ]; then set -- "$@" "--ignore-preflight-errors=$IGNORE"; fi
if [ -n "$PATCHES" ]; then set -- "$@" "--patches=$PATCHES"; fi
if [ "$ETCD_UPGRADE" = false ]; then set -- "$@" --etcd-upgrade=false; fi
if [ "$CERTIFICATE_RENEWAL" = false ]; then set -- "$@" --certificate-renewal=false; fi
# kubeadm gives the static pods the proxies of its own environment, and a job has none: those that they have now stay.
api=/etc/kubernetes/manifests/kube-apiserver.yaml
if [ -f "$api" ]; then
  name=
  while read -r first second third; do
    case "$first $second" in
      "- name:") name=$third ;;
      "value: "*)
        case $name in
          *[!A-Za-z0-9_]*) ;;
          *_proxy | *_PROXY)
            second=${second#[\"\']}
            export "$name=${second%[\"\']}"
            ;;
        esac
        ;;
    esac
  done <"$api"
fi
mark "$VERB v$VERSION started"
kubeadm "$@"
mark "$VERB v$VERSION done"
