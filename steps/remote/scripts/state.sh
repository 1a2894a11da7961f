# The state directory is root's alone or nothing is done: in one that another user can write, he chooses what root runs.
# Once it was found so, only root can change it: the same connection looks again only when it is missing.
d=$UPGRADER_DIR
if [ "$UPGRADER_TRUSTED" != yes ] || [ ! -d "$d/jobs" ]; then
	[ -d "$d" ] || mkdir -m 700 "$d" 2>/dev/null || true
	owner=
	if [ ! -L "$d" ] && [ -d "$d" ]; then owner=$(stat -c '%u %a' "$d"); fi
	if [ "$owner" != '0 700' ] && [ "$owner" != "$(id -u) 700" ]; then
		printf '%s unsafe %s\n' "$UPGRADER_MARK" "$(ls -ld "$d" 2>&1)" >&2
		exit 94
	fi
	[ -d "$d/jobs" ] || mkdir -m 700 "$d/jobs" 2>/dev/null || true
fi
