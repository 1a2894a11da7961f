# Tells everything about this host that may stand in the way of an upgrade, for the checks to judge. It reads only.
#
# It is told in sections, and what is not there is left out. VERSION is what the cluster runs, LINE the minor version that it
# goes to, REVISIONS the packages to be installed (name=revision) and IMAGES what will be run; each of them may be empty.
#
# A program that hung is not asked again. Who asks more after this finds in now, up, units, socket and runtime what was found
# out here.
file() { # the file as it is, up to 64 KiB
  if [ -f "$1" ]; then
    section file "$1"
    echo "changed $(stat -c %Y "$1")"
    head -c 65536 "$1" | bar
    echo
  fi
}

section host
echo "user $(id -u)"
clock=$(date +%s.%N)
case $clock in *N) clock=${clock%.*} ;; esac # it knows no nanoseconds
now=${clock%.*}
echo "clock $clock"
up=$(cut -d . -f 1 /proc/uptime)
echo "up $up"
echo "kernel $(uname -r)"
echo "cgroup $(stat -f -c %T /sys/fs/cgroup 2>/dev/null || :)"
echo "kubeadm $(soon kubeadm version -o short || :)"
echo "kubelet $(soon kubelet --version || :)"
echo "kubectl $(soon kubectl version --client -o json | sed -n 's/.*"gitVersion": "\(v[0-9][^"]*\)".*/\1/p' | head -n 1)"
if [ -f /proc/swaps ]; then tail -n +2 /proc/swaps | sed 's/^/swap /'; fi
for p in / /var/log /var/lib/kubelet /var/lib/containerd /var/lib/etcd /var/lib/upgrader /etc/kubernetes /etc/kubernetes/tmp /var/cache/apt; do
  [ -d "$p" ] || continue
  disk=$(soon df -Pk "$p") || { [ $? = 124 ] && break || continue; }
  inodes=$(soon df -Pi "$p") || { [ $? = 124 ] && break || :; }
  echo "disk $p $(echo "$disk" | tail -n 1)"
  echo "inodes $p $(echo "$inodes" | tail -n 1)"
done
if [ -f /var/lib/etcd/member/snap/db ]; then echo "etcd-db $(stat -c %s /var/lib/etcd/member/snap/db)"; fi
for f in /var/lib/upgrader/backups/*.db; do
  if [ -f "$f" ]; then echo "snapshot $(stat -c %Y "$f") $f"; fi
done
for f in /etc/kubernetes/tmp/*; do
  [ -e "$f" ] || continue
  size=$(soon du -sk "$f") || [ $? != 124 ] || break
  echo "leftover $(stat -c %Y "$f") $(echo "$size" | tr '\t' ' ')"
done
units=
for u in kubelet containerd crio unattended-upgrades; do
  unit=$(soon systemctl show -p LoadState -p ActiveState -p SubState -p NRestarts -p UnitFileState -p Result -p ExecMainStatus \
    -p ExecMainStartTimestampMonotonic -p ExecMainExitTimestampMonotonic "$u.service") || [ $? != 124 ] || break
  unit="unit $u $(echo "$unit" | tr '\n' ' ')"
  echo "$unit"
  units="$units$unit
"
done
if command -v apt-config >/dev/null 2>&1; then
  echo "unattended $(soon apt-config dump | sed -n 's/^APT::Periodic::Unattended-Upgrade "\(.*\)";/\1/p')"
fi

for f in /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/sysconfig/kubelet /etc/systemd/system/kubelet.service \
  /etc/systemd/system/kubelet.service.d/*.conf /usr/lib/systemd/system/kubelet.service.d/*.conf /var/lib/kubelet/config.yaml \
  /var/lib/kubelet/instance-config.yaml "$m"/* /etc/containerd/config.toml; do
  file "$f"
done
pid=$(soon systemctl show -p MainPID --value kubelet.service || :)
if [ -n "$pid" ] && [ "$pid" != 0 ] && [ -r "/proc/$pid/cmdline" ]; then
  section command kubelet
  tr '\000' '\n' <"/proc/$pid/cmdline" | bar
  echo
fi

# Certificates only, never a key: of files, and of the client certificates inside kubeconfigs.
for f in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt /var/lib/kubelet/pki/kubelet-client-current.pem \
  /var/lib/kubelet/pki/kubelet-server-current.pem /var/lib/kubelet/pki/kubelet.crt; do
  if [ -f "$f" ]; then
    section certificate "$f"
    sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$f" | bar
  fi
done
for f in /etc/kubernetes/admin.conf /etc/kubernetes/super-admin.conf /etc/kubernetes/controller-manager.conf /etc/kubernetes/scheduler.conf /etc/kubernetes/kubelet.conf; do
  if [ -f "$f" ]; then
    section kubeconfig "$f"
    sed -n -E 's/^ *(client-certificate-data|client-certificate|server): */|\1 /p' "$f"
  fi
done

# The container runtime, where the kubelet finds it, and the images: there already, or to be had from the registry or
# the mirror that containerd is told of.
socket=$(sed -n -E 's/^containerRuntimeEndpoint: *"?([^"]*)"?.*/\1/p' /var/lib/kubelet/config.yaml /var/lib/kubelet/instance-config.yaml 2>/dev/null | head -n 1)
if [ -z "$socket" ]; then
  socket=$(sed -n -E 's/.*--container-runtime-endpoint=([^ "]*).*/\1/p' /var/lib/kubelet/kubeadm-flags.env 2>/dev/null | head -n 1)
fi
runtime=silent
if command -v crictl >/dev/null 2>&1; then
  section runtime
  if said=$(soon crictl ${socket:+-r "$socket"} info 2>&1 >/dev/null); then
    runtime=answers
    echo answers
    dead=
    for i in $IMAGES; do
      code=0
      crictl=$(soon crictl ${socket:+-r "$socket"} inspecti "$i" 2>&1 >/dev/null) || code=$?
      case $code in
        0) echo "image $i here"; continue ;;
        124) echo "$crictl" >&2; break ;;
      esac
      name=${i#*/} registry=${i%%/*}
      from=$(sed -n -E 's/^ *\[host\."([^"]*)"\].*/\1/p' "/etc/containerd/certs.d/$registry/hosts.toml" 2>/dev/null || :)
      got=
      for r in $from "https://$registry"; do
        case " $dead " in *" $r "*) got="$got 000@$r"; continue ;; esac
        code=$(curl -sSL -o /dev/null --connect-timeout 3 -m 8 -w '%{http_code}' -H 'Accept: application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' \
          "$r/v2/${name%:*}/manifests/${name##*:}" 2>&1 | tail -n 1 || :)
        got="$got $code@$r"
        case $code in 200 | 401) break ;; 000) dead="$dead $r" ;; esac
      done
      echo "image $i$got"
    done
  else
    echo "silent $(echo "$said" | tail -n 1)"
  fi
fi

# Whether the lists that apt has were signed by a key that still holds, and what the next minor version offers.
if [ -x /usr/bin/apt-get ]; then
  section apt
  echo "held $(soon apt-mark showhold | tr '\n' ' ')"
  sources=$(grep -hs -E '^[^#]*core(:|%3[Aa])/stable(:|%3[Aa])/v[0-9]' /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources || :)
  ring=$(cat /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null | grep -E 'core(:|%3[Aa])|[Ss]igned-[Bb]y' | sed -n -E 's/.*[Ss]igned-[Bb]y[=:] *(\/[^] ,]*).*/\1/p' | head -n 1)
  plain=$ring
  case $ring in # gpgv reads no armour, and only what is a file: the public key is copied for a moment
    *.asc)
      plain=$(mktemp)
      trap 'rm -f "$plain"' EXIT
      sed -e '1,/^$/d' -e '/^-----END/d' -e '/^=/d' "$ring" | base64 -d >"$plain"
      ;;
  esac
  for f in /var/lib/apt/lists/*core:*InRelease; do
    if [ -f "$f" ] && [ -n "$ring" ] && [ -f "$ring" ]; then
      soon gpgv --status-fd 1 --keyring "$plain" "$f" | sed -n -E "s,^\[GNUPG:\] (GOODSIG|EXPKEYSIG|EXPSIG|REVKEYSIG|BADSIG|ERRSIG|NO_PUBKEY|KEYEXPIRED) ([0-9A-F]*).*,signature $f \1 \2,p"
    fi
  done
  base=$(echo "$sources" | sed -n -E 's,.* (https?://[^ ]*core(:|%3[Aa])/stable(:|%3[Aa]))/v[0-9].*,\1,p' | head -n 1)
  if [ -n "$base" ] && [ -n "$LINE" ]; then
    if list=$(curl -fsSL --connect-timeout 3 -m 8 "$base/v$LINE/deb/Packages" 2>&1); then
      for p in kubeadm kubelet kubectl; do
        echo "$list" | sed -n "/^Package: $p\$/,/^\$/s/^Version: /remote $p /p"
      done
    else
      echo "unreachable $base/v$LINE/deb $(echo "$list" | tail -n 1)"
    fi
  fi
  if [ -n "$REVISIONS" ]; then
    section simulation
    if said=$(within 30 apt-get -s -q -o Debug::NoLocking=1 --no-remove --allow-change-held-packages install $REVISIONS 2>&1); then
      echo "$said" | grep -E '^(Inst|Remv|Conf) ' | bar || :
    else
      echo "fails"
      echo "$said" | tail -n 8 | bar
    fi
  fi
fi

# The API server of this very host, and what kubeadm would make of the manifests.
if [ -f "$m/kube-apiserver.yaml" ]; then
  address=$(flag kube-apiserver advertise-address) port=$(flag kube-apiserver secure-port)
  ask() { soon kubectl --kubeconfig=/etc/kubernetes/admin.conf --server="https://$address:${port:-6443}" --request-timeout=5s get --raw "$1" 2>&1; }
  section api "$address:${port:-6443}"
  if said=$(ask /readyz); then
    echo ready
    ask /metrics | grep -E '^(apiserver_requested_deprecated_apis\{|process_start_time_seconds )' || :
  else
    echo "silent $(echo "$said" | grep '^\[-\]' | tr '\n' ' ' || :)$(echo "$said" | tail -n 1)"
  fi
  if [ -n "$VERSION" ] && [ "$(soon kubeadm version -o short)" = "v$VERSION" ]; then
    section difference
    soon kubeadm upgrade diff "v$VERSION" | bar || echo fails
  fi
fi
