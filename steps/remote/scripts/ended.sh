rc=$?
# On a full disk the job counts as running until there is room: an empty status would be taken for a failure. The file that
# makes way took its room when the job began.
rm -f "$j/rc.tmp"
until echo "$rc" >"$j/rc.tmp"; do
	if [ ! -d "$j" ]; then exit 0; fi
	sleep 1
done 2>/dev/null
sync "$j/rc.tmp"
mv "$j/rc.tmp" "$j/rc"
sync "$j"
exit 0
