# Restarts UNIT. One that has used up its start limit would refuse without reset-failed.
systemctl daemon-reload
systemctl reset-failed "$UNIT" 2>/dev/null || :
systemctl restart "$UNIT"
systemctl is-active "$UNIT"
