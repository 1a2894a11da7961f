# Reads, through the local member or the API server's endpoints, what every member says of itself. What does not answer
# is missing, and says why on standard error.
#
# etcdctl gives a member 5 seconds (defaultCommandTimeOut, etcdctl/ctlv3/ctl.go). It asks all at the same time for their
# health, but one after the other for their state: of seven, three may be away.
section kind
echo "$kind"
[ "$kind" != none ] || exit 0
section members
members=$(within 15 $etcdctl $flags member list -w json) || exit 0 # nobody there: the other questions would only wait as long again
printf '%s\n' "$members" | bar
section health
within 15 $etcdctl $flags endpoint health --cluster -w json | bar
section status
within 30 $etcdctl $flags endpoint status --cluster -w json | bar
section alarms
within 15 $etcdctl $flags alarm list | bar
