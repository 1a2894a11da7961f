# Run under the lock, after the fence.
j=$d/jobs/$UPGRADER_ID
if take; then
	abandon "epoch $UPGRADER_EPOCH asked and found it not started"
elif [ ! -f "$j.claim" ]; then # nobody has it, and nobody can
	true >"$j.probe"       # says why
	rm -f "$j.probe"
	exit 1
fi
