# Makes apt know WANT, a version of kubeadm as madison prints it ("| 1.28.15-"), from the source in FILE. OLD and NEW are
# the source's address before and after, as pattern and replacement of sed; or LINE is the one line of a new file; or all
# three are empty and only the lists are fetched. When that fails, FILE is put back as it was.
#
# Only this one list is fetched, because other sources of the host may be broken for reasons that are none of ours; and
# with Error-Mode=any, because apt-get update alone is content with stale lists.
#
# The signing key is fetched from KEY_URL only if KEYRING is missing or apt cannot verify the signature: the key of the
# repositories up to v1.27 expired in 2024. The new key goes before the old ones, since gpgv takes the first that
# matches. NO_KEY says why there is no KEY_URL.
tmp=$(mktemp -d)
lists() {
  tries=0
  until apt-get -q -o APT::Update::Error-Mode=any -o Dir::Etc::sourcelist="$FILE" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 update >"$tmp/out" 2>&1; do
    cat "$tmp/out"
    tries=$((tries + 1))
    if [ "$tries" -ge "$LOCK_TIMEOUT" ] || ! grep -q -F 'Could not get lock' "$tmp/out"; then return 1; fi
    holder
    sleep 1
  done
  cat "$tmp/out"
}
key() {
  if [ -n "$NO_KEY" ]; then
    echo "the signing key is missing or does not fit, and cannot be fetched: $NO_KEY" >&2
    return 1
  fi
  echo "fetching the signing key from $KEY_URL"
  # https to the last redirection, since the key is what every package is trusted by; within a minute and a MiB
  { curl -fsSL --proto =https --proto-redir =https --tlsv1.2 --max-redirs 5 --connect-timeout 10 --max-time 60 "$KEY_URL" || : >"$tmp/nokey"; } |
    head -c 1048576 >"$tmp/key.asc"
  if [ -e "$tmp/nokey" ]; then
    echo "the signing key could not be fetched from $KEY_URL over https, nor from where that leads" >&2
    return 1
  fi
  case $KEYRING in
    *.asc) cp "$tmp/key.asc" "$tmp/key" ;;
    *) gpg --dearmor <"$tmp/key.asc" >"$tmp/key" || return 1 ;;
  esac
  (umask 022 && mkdir -p "$(dirname "$KEYRING")") # apt reads it as _apt
  if [ -s "$KEYRING" ]; then cat "$KEYRING" >>"$tmp/key"; fi
  chmod 644 "$tmp/key"
  mv "$tmp/key" "$KEYRING"
}
update() {
  if [ -n "$KEYRING" ] && [ ! -s "$KEYRING" ]; then key || return 1; fi
  if ! lists; then
    grep -q -E 'NO_PUBKEY|EXPKEYSIG|KEYEXPIRED|REVKEYSIG|is not signed|signature' "$tmp/out" || return 1
    key || return 1
    lists || return 1
  fi
  if apt-cache madison kubeadm | grep -q -F "$WANT"; then return 0; fi
  echo "the repository in $FILE does not offer kubeadm $WANT; it offers:" >&2
  apt-cache madison kubeadm | head -n 5 >&2
  return 1
}
putback() { # file, copy
  if [ -e "$2" ]; then cp -p "$2" "$1"; else rm -f "$1"; fi
}
end() {
  if [ "$failed" != 0 ]; then
    putback "$FILE" "$tmp/before"
    if [ -n "$KEYRING" ]; then putback "$KEYRING" "$tmp/keyring"; fi
  fi
  rm -rf "$tmp"
}
if [ -e "$FILE" ]; then cp -p "$FILE" "$tmp/before"; fi
if [ -n "$KEYRING" ] && [ -e "$KEYRING" ]; then cp -p "$KEYRING" "$tmp/keyring"; fi
failed=1
trap end EXIT
trap 'exit 143' TERM INT HUP
if [ -n "$LINE" ]; then
  echo "$LINE" >"$FILE"
  chmod 644 "$FILE"
elif [ -n "$OLD" ]; then
  sed -i -E "s#$OLD#$NEW#g" "$FILE"
fi
if update; then failed=0; fi
exit "$failed"
