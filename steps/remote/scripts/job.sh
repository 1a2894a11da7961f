# What runs on the host, whoever listens: takes the claim, runs the text, leaves the exit status. The text follows this.
exec </dev/null
if ! take; then
	rm -f "$0"
	exit 0
fi
# The claim tells of the job. Its first line is as long as any exit status, which will be written over it: a full disk has
# room for that, and it is either there or not.
read -r boot </proc/sys/kernel/random/boot_id
if ! printf '%-15s\npid %s\nboot %s\nepoch %s\nprivate %s\ndigest %s\nname %s\n' running $$ "$boot" "$epoch" "$private" "$digest" "$name" >"$j.claim"; then
	abandon "the disk of $d is full"
	exit 0
fi
# The fence once more: a newer controller may have come since the job was placed. It writes its epoch before it looks for
# claims, and the claim was made before we look at the epoch: so one of the two sees the other. What cannot be compared, or
# is too long for a shell's numbers, is no reason to go on.
now=0
if [ -f "$d/epoch" ]; then read -r now <"$d/epoch"; fi
if [ "${#now}" -gt 18 ] || ! [ "$now" -le "$epoch" ] 2>/dev/null; then
	abandon "epoch $now came before it began"
	exit 0
fi
if [ "$private" = yes ]; then rm -f "$0"; fi
# The claim is durable before the text runs: after a power cut, no claim means that nothing happened.
if ! sync "$j.claim" "$d/jobs"; then
	abandon "the disk of $d cannot be synced"
	exit 0
fi
# Output without end must not fill the disk. A pipe could cap it, but its reader's death would kill the job. So what is
# too much is dropped, but for its end, which says how it went.
(
	while kill -0 $$ 2>/dev/null; do
		sleep 0.25
		if [ -f "$j.done" ]; then break; fi
		if [ "$(stat -c %s "$j.out" 2>/dev/null)" -gt "$cap" ] 2>/dev/null; then
			tail -c 65536 "$j.out" >"$j.out.end"
			if [ "$private" = yes ]; then sed -i 1d "$j.out.end"; fi # nobody would know the rest of a secret for one
			: >"$j.out"
			echo '[upgrader: there was too much output, most of it was dropped]' >>"$j.out"
			cat "$j.out.end" >>"$j.out"
			rm -f "$j.out.end"
		fi
	done
) </dev/null >/dev/null 2>&1 8>&- &
