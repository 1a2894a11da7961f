# Nobody waits for this any more. Of the ended jobs, the newest 200 directories are kept.
exec >/dev/null 2>&1
if [ "$UPGRADER_MODE" = launch ]; then
	ls -1t "$d/jobs" | tail -n +201 | while read -r old; do
		if [ -f "$d/jobs/$old/rc" ] || [ -f "$d/jobs/$old/claim/abandoned" ]; then rm -rf "$d/jobs/$old"; fi
	done
fi
