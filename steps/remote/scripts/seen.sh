# Sees whether the fence has to be asked under the lock. Most sessions find their own epoch, durable since an earlier one:
# then there is nothing to write, and what is true here without the lock is true with it.
seen='' sure=''
if [ -f "$d/epoch" ] && [ -f "$d/epoch.durable" ]; then
	{ read -r seen <"$d/epoch" && read -r sure <"$d/epoch.durable"; } 2>/dev/null || seen=''
fi
