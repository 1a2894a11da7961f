# What runs on the host, whoever listens: takes the claim, runs the text, leaves the exit status. The text follows this.
exec </dev/null >>"$j/out" 2>&1
if [ -f "$j/private" ]; then rm -f "$j/job"; fi
# Under the lock and behind the fence once more: a newer controller may have come since the job was placed.
flock -x "$d/lock" /bin/sh -c '[ "$(cat "$1/epoch")" -le "$3" ] && mkdir "$2/claim"' claim "$d" "$j" "$epoch" 2>/dev/null || exit 0
echo "room for the exit status" >"$j/rc.tmp"
echo "$PPID" >"$j/pid"
sync "$j"
# Output without end must not fill the disk. A pipe could cap it, but its reader's death would kill the job. So what is
# too much is dropped, but for its end, which says how it went.
(
	while kill -0 $$ 2>/dev/null; do
		sleep 0.25
		if [ -f "$j/rc" ]; then break; fi
		if [ "$(stat -c %s "$j/out" 2>/dev/null)" -gt "$cap" ] 2>/dev/null; then
			tail -c 65536 "$j/out" >"$j/out.end"
			: >"$j/out"
			echo '[upgrader: there was too much output, most of it was dropped]' >>"$j/out"
			cat "$j/out.end" >>"$j/out"
			rm -f "$j/out.end"
		fi
	done
) </dev/null >/dev/null 2>&1 &
