# kubeadm upgrade plan, and a note that this run has seen it succeed. The version is named, or kubeadm asks the internet.
set -- upgrade plan "v$VERSION"
if [ -n "$IGNORE" ]; then set -- "$@" "--ignore-preflight-errors=$IGNORE"; fi
kubeadm "$@"
dir=/var/lib/upgrader
mkdir -p "$dir"
echo "v$VERSION $RUN" >"$dir/kubeadm-plan.part"
mv "$dir/kubeadm-plan.part" "$dir/kubeadm-plan"
