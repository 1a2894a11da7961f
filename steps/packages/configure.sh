# Finishes what dpkg was interrupted in. What it was interrupted in unpacking cannot be configured, only installed again:
# that is done next, and is no failure here, once dpkg has merged its updates and everything else is configured.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 NEEDRESTART_MODE=l
holder
failed=0
dpkg --configure -a --force-confdef --force-confold || failed=$?
if [ "$failed" != 0 ]; then
  if [ -n "$(find /var/lib/dpkg/updates -type f -name '[0-9]*' 2>/dev/null)" ]; then exit "$failed"; fi
  if dpkg-query -W -f '${db:Status-Abbrev}\n' | grep -q -E '^.[UFWt][^R]'; then exit "$failed"; fi
  dpkg-query -W -f '${db:Status-Abbrev}\n' | grep -q -E '^.H|^..R' || exit "$failed"
  echo "what was interrupted in unpacking is left to be installed again"
fi
