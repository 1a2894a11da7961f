# take makes the claim of a ticket, unless somebody has. Whoever makes it first decides what becomes of the ticket: the job
# itself when it starts, or somebody who asks and finds it not started. So an answer of "never" stays true.
take() {
	set -C
	if { true >"$j.claim"; } 2>/dev/null; then
		set +C
		return 0
	fi
	set +C
	return 1
}
# abandon gives the ticket back that this process has taken, before anything has run. The reason is for people: where there
# is no room for it, the empty file says the same.
abandon() {
	echo "$1" 2>/dev/null >"$j.abandoned" || true
	rm -f "$j".job.*
	sync "$d/jobs"
}
