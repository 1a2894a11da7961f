# Finishes what dpkg was interrupted in.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 NEEDRESTART_MODE=l
holder
dpkg --configure -a --force-confdef --force-confold
