# Starts the job unless its ticket is claimed. Starting twice is harmless, since the second one finds the claim. The job
# and its directory are durable before it runs: after a power cut, no directory means that nothing happened.
j=$d/jobs/$UPGRADER_ID
mark() { printf '\n%s %s\n' "$UPGRADER_MARK" "$1"; }
# give_up takes the claim, if the job has not taken it within three seconds.
give_up() {
	tries=0
	while [ ! -d "$j/claim" ] && [ "$tries" -lt 30 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	if mkdir "$j/claim" 2>/dev/null; then
		echo "$1" >"$j/claim/abandoned"
		rm -f "$j/job"
		sync "$j/claim" "$j"
		mark "unstarted $(printf '%s' "$1" | tr '\n' ' ')"
		exit 0
	fi
}
if [ "$UPGRADER_MODE" = launch ] && [ ! -d "$j/claim" ]; then
	boot=$(cat /proc/sys/kernel/random/boot_id)
	printf '%s\n' "name $UPGRADER_NAME" "digest $UPGRADER_DIGEST" "epoch $UPGRADER_EPOCH" "boot $boot" >"$j/meta"
	if [ "$UPGRADER_PRIVATE" = yes ]; then : >"$j/private"; fi
	printf '%s' "$UPGRADER_JOB" >"$j/job.$UPGRADER_MARK"
	mv "$j/job.$UPGRADER_MARK" "$j/job"
	: >>"$j/out"
	sync "$j/job" "$j/meta" "$j" "$d/jobs"
	why=$(/bin/sh -n "$j/job" 2>&1) || give_up "$why"
	if [ -d "$UPGRADER_SYSTEMD" ]; then
		why=$(systemd-run --quiet --unit="upgrader-$UPGRADER_ID" -p Type=exec -p KillMode=control-group \
			flock -x "$j/alive" /bin/sh "$j/job" 2>&1) || give_up "$why"
	else
		setsid flock -x "$j/alive" /bin/sh "$j/job" </dev/null >/dev/null 2>&1 &
	fi
fi
unset UPGRADER_JOB
