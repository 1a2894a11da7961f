rc=$?
if [ ! -f "$j.claim" ]; then exit 0; fi
# What went through a pipe is written down first. A daemon that the text left behind may hold the pipe for ever: by then the
# two seconds were enough for what was in it.
if [ -n "$reader" ]; then
	exec >/dev/null 2>&1
	tries=0
	while [ "$tries" -lt 40 ] && kill -0 "$reader"; do
		sleep 0.05
		tries=$((tries + 1))
	done
fi
printf '%-15s\n' "$rc" 1<>"$j.claim"
sync -d "$j.claim"
# What is durable is announced. Where there is no room for that, the end of the last process is, which frees the lock.
true 2>/dev/null >"$j.done"
exit 0
