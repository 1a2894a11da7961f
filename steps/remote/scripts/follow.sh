# Sends what the job prints, from an offset on, until it has ended. A line that begins with the mark is a message, what
# lies between is the job's output. The exit status is looked for before the output, so that none is missed. The record
# may be removed between two of our commands: then it is gone, whichever of them fails.
off=$UPGRADER_OFFSET n=0 claimed=
# idle: nothing that belongs to the job is left. Its processes hold a lock as long as they live, but for those that close
# what they inherit, as apt does for dpkg: systemd knows of them too.
idle() {
	flock -n -x "$j/alive" true || return 1
	[ -d "$UPGRADER_SYSTEMD" ] || return 0
	case $(systemctl show -p ActiveState --value "upgrader-$UPGRADER_ID") in
	active | activating | deactivating | reloading) return 1 ;;
	esac
}
while :; do
	end=
	if [ -z "$claimed" ] && [ -d "$j/claim" ]; then
		claimed=yes
		mark claimed
	fi
	if [ -f "$j/rc" ]; then
		end="rc $(cat "$j/rc")" || { [ ! -d "$j" ] && end=gone; }
	elif [ -f "$j/claim/abandoned" ]; then
		end=abandoned
	elif [ ! -d "$j" ]; then
		end=gone
	elif [ -n "$claimed" ] && [ $((n % 8)) -eq 0 ] && idle && [ ! -f "$j/rc" ]; then
		end='cut killed'
		grep -q -x "boot $(cat /proc/sys/kernel/random/boot_id)" "$j/meta" || end='cut reboot'
	elif [ -z "$claimed" ] && [ "$n" -gt 90 ]; then
		give_up 'it was started but never ran'
	fi
	size=$(stat -c %s "$j/out" 2>/dev/null) || size=0
	if [ "$size" -lt "$off" ]; then off=0; fi
	if [ "$size" -gt "$off" ]; then
		if [ "$UPGRADER_MODE" = settle ] && [ -f "$j/private" ]; then
			mark withheld
		else
			mark "at $off"
			tail -c "+$((off + 1))" "$j/out" | head -c "$((size - off))"
		fi
		off=$size
	fi
	case $end in cut*) [ -d "$j" ] || end=gone ;; esac
	if [ -n "$end" ]; then
		mark "end $end"
		break
	fi
	n=$((n + 1))
	if [ $((n % 20)) -eq 0 ]; then mark tick; fi
	if [ "$n" -lt 12 ]; then
		sleep 0.02
	elif [ "$n" -lt 32 ]; then
		sleep 0.1
	else
		sleep 0.5
	fi
done
