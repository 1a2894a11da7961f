# holder prints who holds a lock of apt or dpkg: `lock | pid | command`. The files stand in the order in which they are
# taken (apt: apt-pkg/deb/debsystem.cc, apt-pkg/acquire.cc; dpkg: lib/dpkg/dbmodify.c). The kernel's table of locks is
# asked, because who has a file merely open says nothing, and fuser is not on every host.
holder() {
  for f in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
    [ -e "$f" ] || continue
    inode=$(stat -c %i "$f")
    pid=$(sed -n -E "s/^[0-9]+: [A-Z]+ +[A-Z]+ +WRITE +([0-9]+) +[0-9a-f]+:[0-9a-f]+:$inode .*/\1/p" /proc/locks | head -n 1)
    [ -n "$pid" ] || continue
    who=$(cat "/proc/$pid/comm" 2>/dev/null || echo "another process")
    echo "lock | $pid | $who"
    return 0
  done
}

# mark is apt-mark, but waits for a lock that somebody else takes between two of our commands.
mark() {
  tries=0
  until apt-mark "$@"; do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ]; then return 1; fi
    holder
    sleep 1
  done
}
