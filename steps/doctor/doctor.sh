# Tells what is in trouble on this host: the services and static pods that do not run, the last lines of their logs, and
# what the last job of upgrader said. It reads only, and little of each.
#
# A section begins with "== name"; lines of logs and files stand behind a bar, so that nothing in them is taken for an
# answer. What is not there is left out. Environments and secrets of jobs are never read. Programs that may hang run
# soon or within a time: within.sh of survey comes before this.
m=/etc/kubernetes/manifests
tmp=/etc/kubernetes/tmp
now=$(date +%s)
bar() { cut -c 1-2000 | sed 's/^/|/'; }
since() { # how many seconds ago something was: $1 in seconds since 1970, or as date(1) reads it
  at=$(date -d "$1" +%s 2>/dev/null) && echo $((now - at)) || :
}
up=$(cut -d . -f 1 /proc/uptime)
ago() { # how many seconds ago by systemd's monotonic clock, in microseconds: its dates may be in a zone that date(1) does not know
  case $1 in '' | 0 | *[!0-9]*) return ;; esac
  echo $((up - $1 / 1000000))
}
of() { echo "$unit" | sed -n "s/^$1=//p"; }

echo "== host"
echo "now $now"
for p in / /var/log /var/lib/kubelet /var/lib/containerd /var/lib/etcd /var/lib/upgrader /etc/kubernetes "$tmp"; do
  [ -d "$p" ] || continue
  disk=$(soon df -Pk "$p") || [ $? != 124 ] || break
  echo "disk $p $(echo "$disk" | tail -n 1)"
done
if [ -d "$tmp" ]; then
  echo "backups $(soon du -sh "$tmp" || :)"
  find "$tmp" -mindepth 1 -maxdepth 1 -mmin -1440 -name 'kubeadm-*' 2>/dev/null | sed 's/^/upgraded /'
fi
echo "cgroup $(stat -f -c %T /sys/fs/cgroup 2>/dev/null || :)"
if [ -d /var/lib/etcd/member ]; then echo "etcd-data /var/lib/etcd"; fi

# What a service said since it was last started, in its last ten minutes; of one that failed at once, what it said the
# time before too. What it said earlier was of another trouble.
# (journalctl takes --lines together with --since for the first ones.)
for u in kubelet containerd crio; do
  unit=$(soon systemctl show -p LoadState -p ActiveState -p SubState -p NRestarts -p Result -p ExecMainStatus \
    -p ExecMainStartTimestampMonotonic -p ExecMainExitTimestampMonotonic "$u.service") || [ $? != 124 ] || break
  if [ "$(of LoadState)" != loaded ]; then continue; fi
  state=$(of ActiveState)
  began=$(ago "$(of ExecMainStartTimestampMonotonic)") ended=0
  if [ "$state" != active ]; then ended=$(ago "$(of ExecMainExitTimestampMonotonic)"); fi
  echo "== service $u"
  echo "active $state $(of SubState)"
  echo "restarts $(of NRestarts)"
  echo "result $(of Result) $(of ExecMainStatus)"
  if [ -n "$began" ]; then echo "began $began"; fi
  if [ "$state" = active ] && [ "$u" != kubelet ]; then continue; fi # the kubelet may run and yet not be Ready
  back=${began:-600} ended=${ended:-0}
  if [ "$((back - ended))" -lt 30 ] && [ "$state $(of Result)" != "inactive success" ]; then back=$((back + 30)); fi
  if [ "$((back - ended))" -gt 600 ]; then back=$((ended + 600)); fi
  within 20 journalctl -u "$u" -o cat --no-pager -q --since "@$((now - back))" | tail -n 60 | bar || :
done

# The static pods of a control plane. A process is the component's if it was given the flag that tells one instance from
# another: pods of pretend clusters run the same programs.
flag() { sed -n "s/^ *- \(--$2=[^ ]*\).*/\1/p" "$m/$1.yaml" 2>/dev/null | head -n 1 | tr -d "\"'"; }
runs() { # $1 program, $2 flag; its process, or its container where the process cannot be told
  for p in /proc/[0-9]*; do
    if [ "$(cat "$p/comm" 2>/dev/null)" = "$(echo "$1" | cut -c 1-15)" ]; then
      if [ -z "$2" ] || tr '\000' '\n' <"$p/cmdline" 2>/dev/null | grep -qxF -e "$2"; then
        echo "${p#/proc/}"
        return
      fi
    fi
  done
  within 5 crictl ps -q --name "^$1\$" --label io.kubernetes.pod.namespace=kube-system | head -n 1 | cut -c 1-13
}
for c in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  one=
  case $c in
    etcd) one=$(flag etcd advertise-client-urls) ;;
    kube-apiserver) one=$(flag kube-apiserver advertise-address) ;;
    *) one=$(flag "$c" kubeconfig) ;;
  esac
  echo "== component $c"
  if [ -f "$m/$c.yaml" ]; then
    echo "manifest $(since "@$(stat -c %Y "$m/$c.yaml")")"
  else
    backup=$(ls -1t "$tmp"/kubeadm-backup-manifests*/"$c.yaml" 2>/dev/null | head -n 1)
    if [ -n "$backup" ]; then echo "backup $backup"; fi
  fi
  pid=$(runs "$c" "$one")
  if [ -n "$pid" ]; then echo "runs $pid"; fi
  back=600 # what the kubelet said before it started the last container was of another trouble
  ls -1t /var/log/pods/kube-system_"$c"-*/"$c"/*.log 2>/dev/null | head -n 2 | while read -r f; do
    echo "== log $c $(basename "$f" .log) $(since "$(head -n 1 "$f" | cut -d ' ' -f 1)") $(since "@$(stat -c %Y "$f")") $f"
    tail -n 40 "$f" | bar
  done
  if [ -f "$m/$c.yaml" ]; then
    newest=$(ls -1t /var/log/pods/kube-system_"$c"-*/"$c"/*.log 2>/dev/null | head -n 1)
    if [ -n "$newest" ]; then
      began=$(since "$(head -n 1 "$newest" | cut -d ' ' -f 1)")
      if [ -n "$began" ] && [ "$began" -lt "$back" ]; then back=$((began + 5)); fi
    fi
    echo "== about $c"
    within 20 journalctl -u kubelet -o cat --no-pager -q --since "@$((now - back))" | grep -E -e "kube-system/$c-|$c-[^ ]*_kube-system" | tail -n 20 | bar || :
  fi
done

# The last job of upgrader within a day, unless what it worked on was changed after its end.
last=$(ls -1t /var/lib/upgrader/jobs/*.out 2>/dev/null | head -n 1)
if [ -n "$last" ]; then
  j=${last%.out}
  ago=$(since "@$(stat -c %Y "$last")")
  newer=$(find "$m" /var/lib/kubelet/config.yaml -newer "$j.claim" 2>/dev/null | head -n 1)
  if [ -n "$ago" ] && [ "$ago" -lt 86400 ] && [ -z "$newer" ]; then
    echo "== job $ago $(sed -n '1s/^\([0-9][0-9]*\) *$/\1/p' "$j.claim" 2>/dev/null | grep . || echo none) $(sed -n 's/^name //p' "$j.claim" 2>/dev/null)"
    if ! grep -q -x 'private yes' "$j.claim" 2>/dev/null; then tail -n 60 "$last" | bar; fi
  fi
fi

if [ -f /etc/kubernetes/pki/apiserver.crt ]; then
  echo "== certificates"
  within 6 kubeadm certs check-expiration | bar || :
fi
if [ -f "$m/kube-apiserver.yaml" ] && [ -f /etc/kubernetes/admin.conf ]; then
  if said=$(within 5 kubectl --kubeconfig=/etc/kubernetes/admin.conf --request-timeout=3s get --raw '/api/v1/nodes?limit=1' 2>&1 >/dev/null); then :; else
    case $said in
      *orbidden*)
        echo "== forbidden"
        echo "$said" | tail -n 3 | bar
        if [ -f /etc/kubernetes/super-admin.conf ]; then
          within 5 kubectl --kubeconfig=/etc/kubernetes/super-admin.conf --request-timeout=3s get clusterrolebinding kubeadm:cluster-admins -o name 2>&1 >/dev/null | bar || :
        fi
        ;;
    esac
  fi
fi
