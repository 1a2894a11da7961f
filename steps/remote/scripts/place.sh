# Places the job unless its ticket is claimed. Each controller places a copy of its own, so that nobody runs half of one;
# the ticket decides which of them runs. Nothing of this need be durable: as long as there is no claim, nothing happened.
j=$d/jobs/$UPGRADER_ID
if [ "$UPGRADER_MODE" = launch ] && [ ! -d "$j/claim" ]; then
	[ -d "$j" ] || mkdir -m 700 "$j" || [ -d "$j" ]
	read -r boot </proc/sys/kernel/random/boot_id
	printf '%s\n' "name $UPGRADER_NAME" "digest $UPGRADER_DIGEST" "epoch $UPGRADER_EPOCH" "boot $boot" >"$j/meta"
	if [ "$UPGRADER_PRIVATE" = yes ]; then : >"$j/private"; fi
	printf '%s' "$UPGRADER_JOB" >"$j/job.$UPGRADER_MARK"
	: >>"$j/out"
fi
unset UPGRADER_JOB
