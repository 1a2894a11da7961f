# Tells about PACKAGES (names, blank separated) and about everything else that an installation depends on:
#
#   foreign | rpm                         this is no host of apt and dpkg
#   state | kubeadm | hi  | 1.27.3-1.1    as dpkg-query abbreviates it: selection, state, error
#   broken | kubelet | iF                 dpkg was interrupted with it, whichever package it is
#   journal                               dpkg left unmerged updates: apt refuses until `dpkg --configure -a`
#   orphan | 4711 | /bin/sh /var/lib/dpkg/info/kubelet.postinst configure
#   owed | kubelet                        was held before an installation that did not finish
#   offer | kubeadm | 1.28.15-1.1 | https://pkgs.k8s.io/core:/stable:/v1.28/deb  Packages
#   lock | 812 | unattended-upgr
if [ -x /usr/bin/rpm ] && [ ! -x /usr/bin/dpkg ]; then
  echo "foreign | rpm"
  exit 0
fi
for p in $PACKAGES; do
  dpkg-query -W -f 'state | ${Package} | ${db:Status-Abbrev} | ${Version}\n' "$p" 2>/dev/null || echo "state | $p | un | "
  if [ -e "/var/lib/upgrader/holds/$p" ]; then echo "owed | $p"; fi
done
broken=$(dpkg-query -W -f '${db:Status-Abbrev}| ${Package}\n' | grep -E '^.[HUFWt]|^..R' || :)
if [ -n "$broken" ]; then
  echo "$broken" | sed -E 's/^(...)\| (.*)$/broken | \2 | \1/'
  for c in /proc/[0-9]*/cmdline; do
    [ -r "$c" ] || continue
    line=$(tr '\000' ' ' <"$c" 2>/dev/null || :)
    case $line in
      /*\ /var/lib/dpkg/info/*.p*|/*\ /var/lib/dpkg/tmp.ci/p*) pid=${c#/proc/}; echo "orphan | ${pid%/cmdline} | $line" ;;
    esac
  done
fi
if [ -n "$(find /var/lib/dpkg/updates -type f -name '[0-9]*' 2>/dev/null)" ]; then echo journal; fi
apt-cache madison $PACKAGES 2>/dev/null | sed -E 's/^ */offer | /' || :
holder
