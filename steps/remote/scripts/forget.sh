# What a job with secrets has printed goes once it has been read, since nobody scrubbed it here. How it ended stays. The
# file stays too, and is the same one: it is the lock that tells of the job's life.
j=$d/jobs/$UPGRADER_ID
rm -f "$j".job.*
if [ -s "$j.out" ]; then
	echo '[upgrader: the output of this job held secrets, and was removed once it had been read]' >"$j.out"
fi
