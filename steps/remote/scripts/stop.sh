# Stops a job that may be stopped half-way.
if [ -d "$UPGRADER_SYSTEMD" ]; then
	systemctl stop "upgrader-$UPGRADER_ID"
elif [ -f "$d/jobs/$UPGRADER_ID/pid" ] && ! flock -n -x "$d/jobs/$UPGRADER_ID/alive" true; then # else the number may be another's by now
	kill -s TERM -- "-$(cat "$d/jobs/$UPGRADER_ID/pid")"
fi
