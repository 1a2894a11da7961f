# Tells about UNIT and the FILES that it reads (blank separated):
#
#   LoadState=loaded               and further properties, as systemctl prints them
#   exe /usr/bin/kubelet (deleted) the program that runs; "(deleted)" when another has taken its place on disk
#   file 1763632800 /var/lib/kubelet/config.yaml
#   version Kubernetes v1.28.15    of the kubelet that is installed, not of the one that runs
#   log ...                        last lines of the unit, only while it does not run
#
# TZ makes systemctl print its times in UTC, as remote.ParseStamp reads them.
TZ=UTC systemctl show -p LoadState -p ActiveState -p SubState -p Result -p MainPID -p NRestarts -p NeedDaemonReload -p ExecMainStartTimestamp "$UNIT"
pid=$(systemctl show -p MainPID --value "$UNIT")
if [ -n "$pid" ] && [ "$pid" != 0 ]; then
  exe=$(readlink "/proc/$pid/exe" 2>/dev/null || :)
  echo "exe $exe"
fi
echo "now $(date +%s)"
for f in $FILES; do
  if [ -e "$f" ]; then stat -c 'file %Y %n' "$f"; fi
done
if [ "$UNIT" = kubelet.service ]; then
  version=$(kubelet --version 2>/dev/null || :)
  echo "version $version"
fi
if ! systemctl is-active "$UNIT" >/dev/null 2>&1; then
  journalctl -n 3 -q --no-pager -o cat -u "$UNIT" 2>/dev/null | sed 's/^/log /' || :
fi
