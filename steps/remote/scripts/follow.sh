# Sends what the job prints, from an offset on, until it has ended. A line that begins with the mark is a message, what
# lies between is the job's output. The exit status is looked for before the output, so that none is missed. The record
# may be removed between two of our commands: then it is gone, whichever of them fails.
off=$UPGRADER_OFFSET n=0 claimed='' free='' asked=0
# freed waits for the end of the job's processes, which hold a lock as long as they live, but no longer than it is told.
freed() { { flock -s -w "$1" 7; } 2>/dev/null 7<"$j.out"; }
# idle: nothing that belongs to the job is left. Some processes close what they inherit, as apt makes dpkg do: systemd
# knows of them too.
idle() {
	[ -d "$UPGRADER_SYSTEMD" ] || return 0
	case $(systemctl show -p ActiveState --value "upgrader-$UPGRADER_ID") in
	active | activating | deactivating | reloading) return 1 ;;
	esac
}
# status reads the exit status from the claim, if it was written.
status() {
	word=
	{ read -r word <"$j.claim"; } 2>/dev/null || return 1
	case $word in '' | *[!0-9]*) return 1 ;; esac
}
# told says whether the claim has a line.
told() { grep -q -x "$1" "$j.claim"; }
# judge says how a job ended that did not announce it. A claim without a word in it was made this moment, or its host lost
# power then.
judge() {
	if status; then
		end="rc $word"
	elif [ -z "$word" ] && [ "$asked" -lt 5 ]; then
		asked=$((asked + 1))
		sleep 0.1
	elif told "boot $(cat /proc/sys/kernel/random/boot_id)"; then
		end='cut killed'
	else
		end='cut reboot'
	fi
}
# forget_copies removes what was placed of a job with secrets and did not remove itself: another controller's copy that it
# was cut off from starting, or one whose shell was killed. Whoever sees the job's end does it.
forget_copies() {
	set -- "$j".job.secret-*
	if [ -f "$1" ]; then rm -f "$@"; fi
}
# send passes on what was printed since the last time. At the end of a short job that is all there is. Of a job with secrets,
# only the beginning is sent before the end: what is shortened meanwhile and grows again has a seam, at which half a secret
# would show.
send() {
	size=134217728
	if [ -z "$end" ] || [ "$off" -gt 0 ]; then
		size=$(stat -c %s "$j.out" 2>/dev/null) || size=0
		if [ "$size" -gt 32768 ] && told 'private yes'; then
			if [ -z "$end" ]; then return; fi
			if head -c 10 "$j.out" | grep -q -x '.upgrader:'; then off=0; fi
		fi
	fi
	if [ "$size" -lt "$off" ]; then off=0; fi
	if [ "$size" -eq "$off" ]; then return; fi
	if [ "$UPGRADER_MODE" = settle ] && told 'private yes'; then
		mark withheld
	elif [ "$off" -eq 0 ]; then
		mark 'at 0'
		head -c "$size" "$j.out" || true
	else
		mark "at $off"
		tail -c "+$((off + 1))" "$j.out" | head -c "$((size - off))"
	fi
	off=$size
}
while :; do
	end=
	if [ -z "$claimed" ] && [ -f "$j.claim" ]; then
		claimed=yes
		mark claimed
	fi
	if [ -f "$j.done" ] && status; then
		end="rc $word"
	elif [ -f "$j.abandoned" ]; then
		read -r why <"$j.abandoned" || why=
		end="abandoned $why"
	elif [ ! -f "$j.out" ]; then # removed with the claim, or without it, long after the end
		end=gone
		if status; then end="rc $word"; fi
	elif [ -n "$free" ] && ! idle; then
		sleep 0.1
	elif [ -n "$free" ] && [ -n "$claimed" ]; then
		judge
	elif [ -n "$free" ] || [ "$n" -gt 90 ] && [ -z "$claimed" ]; then
		why='it was started but never ran'
		if [ -s "$j.out" ]; then why=$(head -c 4096 "$j.out"); fi # no shell can read it
		give_up "$why" 0
	fi
	if [ -n "$claimed$end" ] && [ -s "$j.out" ]; then send; fi # before the claim there is only what a shell complains of
	case $end in cut*) [ -f "$j.claim" ] || end=gone ;; esac
	if [ -n "$end" ]; then
		forget_copies
		mark "end $end"
		break
	fi
	n=$((n + 1))
	if [ $((n % 20)) -eq 0 ]; then mark tick; fi
	free='' pause=0.5
	if [ "$n" -lt 32 ]; then pause=0.2; fi
	if freed "$pause"; then free=yes; fi
done
