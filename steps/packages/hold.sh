# Holds NAMES again, for an installation that was cut before it could.
mark hold $NAMES
for p in $NAMES; do rm -f "/var/lib/upgrader/holds/$p"; done
