# Stops a job that may be stopped half-way.
if [ -d "$UPGRADER_SYSTEMD" ]; then
	systemctl stop "upgrader-$UPGRADER_ID"
elif [ -f "$d/jobs/$UPGRADER_ID/pid" ]; then
	kill -s TERM -- "-$(cat "$d/jobs/$UPGRADER_ID/pid")"
fi
