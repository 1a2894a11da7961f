# Run under the lock. A smaller epoch than the largest seen belongs to a controller that has been superseded.
set -eu
d=$UPGRADER_DIR
seen=0
if [ -f "$d/epoch" ]; then seen=$(cat "$d/epoch"); fi
case $seen in '' | *[!0-9]*)
	printf '%s damaged %s\n' "$UPGRADER_MARK" "$seen" >&2
	exit 94
	;;
esac
# A number that is too large for the shell is no reason to go on.
if [ "${#seen}" -gt 18 ] || ! [ "$seen" -le "$UPGRADER_EPOCH" ] 2>/dev/null; then
	printf '%s fenced %s\n' "$UPGRADER_MARK" "$seen" >&2
	exit 93
fi
if [ "$seen" -lt "$UPGRADER_EPOCH" ] || [ ! -f "$d/epoch" ]; then
	echo "$UPGRADER_EPOCH" >"$d/epoch.tmp"
	sync "$d/epoch.tmp"
	mv "$d/epoch.tmp" "$d/epoch"
fi
sync "$d"
echo "$UPGRADER_EPOCH" >"$d/epoch.durable" || true # without it the next session asks again
