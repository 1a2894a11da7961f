# What runs on the host, whoever listens: takes the claim, runs the text, leaves the exit status. The text follows this.
exec </dev/null
if ! mkdir "$j/claim" 2>/dev/null; then
	rm -f "$0"
	exit 0
fi
# abandon gives the ticket back before the text has run.
abandon() {
	echo "$1" >"$j/claim/abandoned"
	rm -f "$0"
	sync "$j/claim" "$j" "$d/jobs"
	exit 0
}
# The fence once more: a newer controller may have come since the job was placed. It writes its epoch before it looks for
# claims, and the claim was made before we look at the epoch: so one of the two sees the other.
now=''
if [ -f "$d/epoch" ]; then read -r now <"$d/epoch"; fi
[ "${now:-0}" -le "$epoch" ] || abandon "epoch $now came before it began"
if [ -f "$j/private" ]; then rm -f "$0"; fi
# The exit status will be written over this, for which a full disk has room, and synced: one write that is either there or
# not. The claim is durable before the text runs: after a power cut, no claim means that nothing happened.
printf '%-15s\n' running >"$j/end"
echo "$$" >"$j/pid"
sync "$j" "$d/jobs" || abandon "the disk of $d cannot be synced"
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
) </dev/null >/dev/null 2>&1 8>&- &
