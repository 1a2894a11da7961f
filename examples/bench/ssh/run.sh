#!/bin/sh
# Prints the tables of ../README.md for this machine. ROUNDS is how often each figure is taken; the median counts.
set -eu
cd "$(dirname "$0")"
command -v ansible-playbook >/dev/null || echo "ansible is left out: it is not installed (apt-get install ansible-core)"
command -v strace >/dev/null || echo "the counts are left out: strace is not installed (apt-get install strace)"
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if ! go test -run '^$' -bench 'Queries|Jobs|Cost' -benchtime 1x -count "${ROUNDS:-3}" -timeout 60m . >"$said"; then
	cat "$said"
	exit 1
fi
awk -f table.awk "$said"
