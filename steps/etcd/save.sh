# Saves a snapshot, proves that it is whole, and gives it its name only then: a file without .part is a good one.
umask 077
mkdir -p "$DIR"
chmod 700 "$DIR"
part="$DIR/$NAME.part"
at=$part
if [ -n "$box" ]; then
  at="$data/upgrader-snapshot.part" # what the container and this host both see; nothing may stay beside etcd's own data
  trap 'rm -f "$at" "$at.part"' EXIT
fi
rm -f "$part" "$part.part" "$at" "$at.part"

if [ -n "$data" ] && [ -f "$data/member/snap/db" ]; then
  need=$(($(stat -c %s "$data/member/snap/db") * 2 / 1024))
  for place in "$DIR" "$(dirname "$at")"; do
    free=$(df -Pk "$place" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
    if [ "$free" -lt "$need" ]; then
      echo "not enough room in $place: $free KiB free, $need KiB wanted (twice the size of etcd's database)" >&2
      exit 1
    fi
  done
fi

# One member is asked: etcdctl refuses more than one endpoint. The first that answers as healthy.
if [ "$kind" = external ]; then
  all=$(flag kube-apiserver etcd-servers) rest=${flags#"--endpoints=$all"}
  for url in $(echo "$all" | tr , ' '); do
    flags="--endpoints=$url$rest"
    if ctl endpoint health >/dev/null 2>&1; then break; fi
  done
fi
ctl snapshot save "$at"

# etcd appends the sha256 of the database to it; a size that is not 32 above a multiple of the page's 512 was cut.
if [ "$VERIFY" = true ]; then
  size=$(stat -c %s "$at")
  if [ $((size % 512)) -ne 32 ]; then
    echo "the snapshot is not whole: $size bytes carry no hash" >&2
    exit 1
  fi
  want=$(tail -c 32 "$at" | od -An -v -tx1 | tr -d ' \n')
  have=$(head -c $((size - 32)) "$at" | sha256sum | cut -d ' ' -f 1)
  if [ "$have" != "$want" ]; then
    echo "the snapshot is damaged: sha256 is $have, etcd wrote $want" >&2
    exit 1
  fi
fi
status=$(util snapshot status "$at" -w json)
echo "$status"
revision=$(echo "$status" | sed -nE 's/.*"revision": *([0-9]+).*/\1/p')
if [ -z "$revision" ] || [ "$revision" = 0 ]; then
  echo "the snapshot holds no revision" >&2
  exit 1
fi

if [ "$at" != "$part" ]; then mv "$at" "$part"; fi
chmod 600 "$part"
sync "$part"
file="$NAME.$revision.db"
sum=$(sha256sum "$part" | cut -d ' ' -f 1)
echo "$sum  $file" >"$DIR/$file.sha256"
mv "$part" "$DIR/$file"
sync "$DIR"
echo "saved $DIR/$file, revision $revision, sha256 $sum"

# This one and the newest of the others are kept, of this run and of others. What is there without a hash of ours is not ours to remove.
ls -1t "$DIR" | grep -E '^etcd-.*\.db\.sha256$' | grep -v -x -F "$file.sha256" | tail -n "+$KEEP" | while read -r old; do
  rm -f "$DIR/${old%.sha256}" "$DIR/$old"
  echo "removed $DIR/${old%.sha256}"
done
