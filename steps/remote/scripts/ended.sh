rc=$?
echo "$rc" >"$j/rc.tmp"
sync "$j/rc.tmp"
mv "$j/rc.tmp" "$j/rc"
sync "$j"
exit 0
