# Run under the lock, after the fence. Whoever makes the directory `claim` first decides what becomes of the ticket: the
# job itself when it starts, or somebody who asks and finds it not started. So an answer of "never" stays true.
j=$d/jobs/$UPGRADER_ID
[ -d "$j" ] || mkdir -m 700 "$j"
if [ ! -d "$j/claim" ]; then
	mkdir "$j/claim"
	rm -f "$j"/job.*
	echo "epoch $UPGRADER_EPOCH asked and found it not started" >"$j/claim/abandoned"
	sync "$j/claim" "$j" "$d/jobs"
fi
