# Stops a job that may be stopped half-way.
j=$d/jobs/$UPGRADER_ID
if [ -d "$UPGRADER_SYSTEMD" ]; then
	systemctl stop "upgrader-$UPGRADER_ID"
elif [ -f "$j.claim" ] && ! flock -n -x "$j.out" true; then # else the number may be another's by now
	kill -s TERM -- "-$(sed -n 's/^pid //p' "$j.claim")"
fi
