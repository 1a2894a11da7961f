# Nobody waits for this any more. Of the ended jobs, the newest 200 are kept whole. Of those before, how they ended stays:
# a ticket without any record counts as never started. After 5000 more jobs nobody asks.
exec >/dev/null 2>&1
set -- "$d"/jobs/*/out
if [ "$UPGRADER_MODE" = launch ] && [ $# -gt 200 ]; then
	n=0
	ls -1t "$d/jobs" | tail -n +201 | while read -r old; do
		n=$((n + 1))
		if [ -s "$d/jobs/$old/rc" ] || [ -f "$d/jobs/$old/claim/abandoned" ]; then
			if [ -f "$d/jobs/$old/out" ]; then (cd "$d/jobs/$old" && rm -f out job.* meta alive pid private end); fi
			if [ "$n" -gt 5000 ]; then rm -rf "$d/jobs/$old"; fi
		fi
	done
fi
