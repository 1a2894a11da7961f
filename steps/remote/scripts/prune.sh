# Nobody waits for this any more. Of the ended jobs, the newest 200 are kept whole. Of those before, the claim stays, which
# says how they ended: a ticket without any record counts as never started. After 5000 more jobs nobody asks. It has ten
# seconds for it, as a change has.
exec >/dev/null 2>&1
trap '' TERM || :
set -- "$d"/jobs/*.job.secret-*
if [ "$UPGRADER_MODE" = launch ] && [ -f "$1" ]; then # nobody has asked for it since: a job is started at once or not at all
	find "$d/jobs" -name '*.job.secret-*' -mmin +60 -exec rm -f {} +
fi
set -- "$d"/jobs/*.out
if [ "$UPGRADER_MODE" = launch ] && [ $# -gt 200 ]; then
	cd "$d/jobs"
	ls -1t | grep '\.out$' | tail -n +201 | while read -r old; do
		old=${old%.out}
		if [ -f "$old.done" ] || [ -f "$old.abandoned" ]; then rm -f "$old.out" "$old.done" "$old".job.*; fi
	done
	ls -1t | grep '\.claim$' | tail -n +5201 | while read -r old; do
		old=${old%.claim}
		if [ ! -f "$old.out" ]; then rm -f "$old.claim" "$old.abandoned"; fi
	done
fi
