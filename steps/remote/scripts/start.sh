# Starts the job that was placed. Starting twice is harmless, since the second one finds the claim.
mark() { printf '\n%s %s\n' "$UPGRADER_MARK" "$1"; }
# give_up takes the claim, if the job has not taken it within the tenths of a second given.
give_up() {
	tries=0
	while [ ! -f "$j.claim" ] && [ "$tries" -lt "$2" ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	if take; then
		abandon "$1"
		mark "unstarted $(printf '%s' "$1" | tr '\n' ' ')"
		exit 0
	fi
}
if [ -f "$copy" ]; then
	if [ -d "$UPGRADER_SYSTEMD" ]; then
		why=$(systemd-run --quiet --unit="upgrader-$UPGRADER_ID" -p Type=exec -p KillMode=control-group \
			/bin/sh "$copy" 2>&1) || give_up "$why" 30
	else
		# It inherits its lock. If that is taken, another controller's copy is running.
		exec 8>>"$j.out"
		if flock -n -x 8; then
			setsid /bin/sh "$copy" held </dev/null >/dev/null 2>&1 &
		else
			rm -f "$copy"
		fi
		exec 8>&-
	fi
fi
