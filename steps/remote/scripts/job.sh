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
# The claim is durable before the text runs: after a power cut, no claim means that nothing happened. How much room there is
# is found out meanwhile. A disk that does not say has enough.
sync "$j.claim" "$d/jobs" &
durable=$! room=
for word in $(stat -f -c '%a %S' "$d" 2>/dev/null); do room=$((${room:-1} * word)); done
if ! wait "$durable"; then
	abandon "the disk of $d cannot be synced"
	exit 0
fi
# shorten drops what the job has printed but for its end, which says how it went. Of a job with secrets it drops the rest of a
# line too: nobody would know the rest of a secret for one. Where that cannot be found, or kept, the output is lost.
shorten() {
	tail -c "$keep" "$j.out" >"$j.out.end" || lost=yes
	: >"$j.out"
	echo '[upgrader: there was too much output, most of it was dropped]' >>"$j.out"
	if [ "$private" = no ]; then
		cat "$j.out.end" >>"$j.out"
	elif [ "$(wc -l <"$j.out.end")" -eq 0 ] || ! sed 1d "$j.out.end" >>"$j.out"; then
		lost=yes
	fi
	rm -f "$j.out.end"
}
# keep_short shortens the output whenever it has become too much, until the job has ended. The job goes on meanwhile: what it
# prints between two looks has to fit the disk.
keep_short() {
	while kill -0 $$; do
		sleep 0.25
		if [ -f "$j.done" ]; then break; fi
		if [ "$(stat -c %s "$j.out")" -gt "$cap" ]; then shorten; fi
	done
}
# write_down reads what comes through a pipe, in parts no larger than the output may be, and shortens it between them: the job
# waits. A disk that is full of other things does not stop it: more and more is dropped then. When the job has ended, a
# daemon of it may still hold the pipe.
write_down() {
	drop=1
	while :; do
		part=$(dd bs=4096 count="$((cap / 4096 + 1))" 2>&1 >>"$j.out")
		case $part in 0+0*) break ;; esac
		if [ -f "$j.done" ] || [ ! -f "$j.out" ]; then
			cat >/dev/null
			break
		fi
		case $private$part in
		yes*error*) lost=yes ;;
		*error*)
			shorten
			dd bs=4096 count="$drop" of=/dev/null
			if [ "$drop" -lt 4096 ]; then drop=$((drop * 2)); fi
			;;
		*)
			if [ "$(stat -c %s "$j.out")" -gt "$cap" ]; then shorten; fi
			drop=1
			;;
		esac
		if [ "$private $lost" = 'yes yes' ]; then
			echo '[upgrader: there was no room for the output, or it has no lines; it was dropped, since the job has secrets]' >"$j.out"
			cat >/dev/null
			break
		fi
	done
}
# Output without end must not fill the disk. A look at it four times a second is enough on most. Where the fastest job could
# fill the disk in between, or where what it prints between a look and the shortening must not be lost (half a secret shows the
# other half), its output goes through a pipe, of which this shell keeps an end too: the death of who reads it must not kill the
# job.
keep=65536 reader= lost=
: "${room:=$roomy}"
if { [ "$private" = yes ] || [ "$room" -lt "$roomy" ]; } && mkfifo "$j.job.pipe" 2>/dev/null; then
	if [ "$cap" -gt "$((room / 4))" ]; then cap=$((room / 4)); fi
	if [ "$keep" -gt "$((cap / 4))" ]; then keep=$((cap / 4)); fi
	exec 7<>"$j.job.pipe" 9<"$j.job.pipe" >"$j.job.pipe" 2>&1 7>&-
	rm -f "$j.job.pipe"
	trap '' TERM HUP # to the whole process group are not for what reads its last words
	(write_down) <&9 >/dev/null 2>&1 9<&- & # it keeps the lock: the job has not ended before its last words are there
	reader=$!
	trap - TERM HUP
else
	(keep_short) </dev/null >/dev/null 2>&1 8>&- &
fi
