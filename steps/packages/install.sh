# Installs REVISIONS (name=revision, blank separated; NAMES are the same without the revisions) in one transaction and
# leaves held what was held. That is written down first, so that it survives a power cut between here and there.
#
# --no-remove: an upgrade has no reason to remove a package. Downgrades and changes of other held packages stay
# forbidden, which is apt's default. needrestart would restart services by itself, kubelet too, before their turn.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 NEEDRESTART_MODE=l
holds=/var/lib/upgrader/holds
mkdir -p "$holds"
held=$(apt-mark showhold)
owed=
for p in $NAMES; do
  if echo "$held" | grep -q -x -F "$p"; then : >"$holds/$p"; fi
  if [ -e "$holds/$p" ]; then owed="$owed $p"; fi
done
if [ -n "$owed" ]; then
  sync "$holds"
  mark unhold $owed
fi
holder
failed=0
apt-get -y -q -o DPkg::Lock::Timeout="$LOCK_TIMEOUT" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-remove install $REVISIONS || failed=$?
if [ -n "$owed" ]; then
  mark hold $owed
  for p in $owed; do rm -f "$holds/$p"; done
fi
exit "$failed"
