# Tells what is in trouble on this host beside what host.sh of survey tells, after which it comes and whose variables it uses:
# what services and static pods that do not run said last, and what the last job of upgrader did. It reads only, and little
# of each. Environments and secrets of jobs are never read.
tmp=/etc/kubernetes/tmp
last() { tail -n "$1" | cut -c 1-2000 | bar; }
since() { # how many seconds ago something was: $1 in seconds since 1970, or as date(1) reads it
  at=$(date -d "$1" +%s 2>/dev/null) || return 0
  if [ "$at" -gt "$now" ]; then at=$now; fi # what came while the host was asked
  echo $((now - at))
}
begun() { # how many seconds ago a log began: as its first line has it, or the file where there is none yet
  first=$(head -n 1 "$1" | cut -d ' ' -f 1)
  since "${first:-@$(stat -c %Y "$1")}"
}
ago() { # how many seconds ago by systemd's monotonic clock, in microseconds: its dates may be in a zone that date(1) does not know
  case $1 in '' | 0 | *[!0-9]*) return ;; esac
  echo $((up - $1 / 1000000))
}
of() { echo "$units" | sed -n -E "s/^unit $u (.* )?$1=([^ ]*) .*/\2/p"; }
hung=
journal() { # $1 unit, $2 seconds ago, $3 lines at most, $4 what they match; a journal that hangs is not asked again
  if [ -n "$hung" ]; then return; fi
  said=$({ within 20 journalctl -u "$1" -o cat --no-pager -q --since "@$((now - $2))" || [ $? != 124 ] || echo "(it hangs)"; } |
    grep -E -e "${4:-}" -e '^\(it hangs\)$' | tail -n "$3")
  case $said in *"(it hangs)") hung=yes said=$(printf '%s' "${said%"(it hangs)"}") ;; esac
  if [ -n "$said" ]; then printf '%s\n' "$said" | last "$3"; fi
}

# What a service said since it was last started, in its last ten minutes; of one that failed at once, what it said the
# time before too. What it said earlier was of another trouble.
# (journalctl takes --lines together with --since for the first ones.)
for u in kubelet containerd crio; do
  if [ "$(of LoadState)" != loaded ]; then continue; fi
  state=$(of ActiveState)
  if [ "$state" = active ] && [ "$u" != kubelet ]; then continue; fi # the kubelet may run and yet not be Ready
  back=$(ago "$(of ExecMainStartTimestampMonotonic)") ended=0
  if [ "$state" != active ]; then ended=$(ago "$(of ExecMainExitTimestampMonotonic)"); fi
  back=${back:-600} ended=${ended:-0}
  if [ "$((back - ended))" -lt 30 ] && [ "$state $(of Result)" != "inactive success" ]; then back=$((back + 30)); fi
  if [ "$((back - ended))" -gt 600 ]; then back=$((ended + 600)); fi
  section journal "$u"
  journal "$u" "$back" 60
done

# The static pods of a control plane. A process is the component's if it was given the flag that tells one instance from
# another: pods of pretend clusters run the same programs.
runs() { # $1 program, $2 flag that tells it from others; its process, or its container where the process cannot be told
  value=$(flag "$1" "$2")
  for p in $(grep -lxF -e "$(echo "$1" | cut -c 1-15)" /proc/[0-9]*/comm 2>/dev/null || :); do
    p=${p%/comm}
    if [ -z "$value" ] || tr '\000' '\n' <"$p/cmdline" 2>/dev/null | grep -qxF -e "--$2=$value"; then
      echo "${p#/proc/}"
      return
    fi
  done
  if [ "$runtime" = answers ]; then
    soon crictl ${socket:+-r "$socket"} ps -q --name "^$1\$" --label io.kubernetes.pod.namespace=kube-system | head -n 1 | cut -c 1-13
  fi
}
for c in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  case $c in
    etcd) one=advertise-client-urls ;;
    kube-apiserver) one=advertise-address ;;
    *) one=kubeconfig ;;
  esac
  section component "$c"
  if [ ! -f "$m/$c.yaml" ]; then
    backup=$(ls -1t "$tmp"/kubeadm-backup-manifests*/"$c.yaml" 2>/dev/null | head -n 1)
    if [ -n "$backup" ]; then echo "backup $backup"; fi
  fi
  pid=$(runs "$c" "$one")
  if [ -n "$pid" ]; then echo "runs $pid"; fi
  back=600 # what the kubelet said before it started the last container was of another trouble
  ls -1t /var/log/pods/kube-system_"$c"-*/"$c"/*.log 2>/dev/null | head -n 2 | while read -r f; do
    [ -r "$f" ] || continue # it is a link that leads nowhere
    section log "$c" "$(basename "$f" .log)" "$(begun "$f")" "$(since "@$(stat -c %Y "$f")")" "$f"
    last 40 <"$f" || : # it may be gone by then
  done
  if [ -f "$m/$c.yaml" ]; then
    newest=$(ls -1t /var/log/pods/kube-system_"$c"-*/"$c"/*.log 2>/dev/null | head -n 1)
    if [ -n "$newest" ]; then
      began=$(begun "$newest")
      if [ -n "$began" ] && [ "$began" -lt "$back" ]; then back=$((began + 5)); fi
    fi
    section about "$c"
    journal kubelet "$back" 20 "kube-system/$c-|$c-[^ ]*_kube-system"
  fi
done

# The last job of upgrader within a day, unless what it worked on was changed after its end.
out=$(ls -1t /var/lib/upgrader/jobs/*.out 2>/dev/null | head -n 1)
if [ -n "$out" ]; then
  j=${out%.out}
  ago=$(since "@$(stat -c %Y "$out")")
  newer=$(find "$m" /var/lib/kubelet/config.yaml -newer "$j.claim" 2>/dev/null | head -n 1)
  if [ -n "$ago" ] && [ "$ago" -lt 86400 ] && [ -z "$newer" ]; then
    section job "$ago" "$(sed -n '1s/^\([0-9][0-9]*\) *$/\1/p' "$j.claim" 2>/dev/null | grep . || echo none)" "$(sed -n 's/^name //p' "$j.claim" 2>/dev/null)"
    if ! grep -q -x 'private yes' "$j.claim" 2>/dev/null; then last 60 <"$out"; fi
  fi
fi

if [ -f "$m/kube-apiserver.yaml" ] && [ -f /etc/kubernetes/admin.conf ]; then
  if said=$(soon kubectl --kubeconfig=/etc/kubernetes/admin.conf --request-timeout=3s get --raw '/api/v1/nodes?limit=1' 2>&1 >/dev/null); then :; else
    case $said in
      *orbidden*)
        section forbidden
        printf '%s\n' "$said" | last 3
        if [ -f /etc/kubernetes/super-admin.conf ]; then
          soon kubectl --kubeconfig=/etc/kubernetes/super-admin.conf --request-timeout=3s get clusterrolebinding kubeadm:cluster-admins -o name 2>&1 >/dev/null | bar || :
        fi
        ;;
    esac
  fi
fi
