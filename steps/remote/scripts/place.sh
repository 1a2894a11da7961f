# Places the job unless its ticket is claimed. Each controller places a copy of its own, so that nobody runs half of one;
# the ticket decides which of them runs. Nothing of this need be durable: as long as there is no claim, nothing happened.
j=$d/jobs/$UPGRADER_ID
copy=$j.job.$UPGRADER_COPY
if [ "$UPGRADER_MODE" = launch ] && [ ! -f "$j.claim" ]; then
	printf '%s' "$UPGRADER_JOB" >"$copy"
	: >>"$j.out"
fi
unset UPGRADER_JOB
