# within runs a program that may hang, as on a mount whose server is gone, for no longer than it may take to answer: it comes
# before the scripts that look at a host, so that what they see of the rest is told. Who hangs is named on standard error.
command -v timeout >/dev/null 2>&1 || timeout() { shift 3 && "$@"; }
within() { # SECONDS PROGRAM...; 124 if it did not answer
  seconds=$1 code=0
  shift
  timeout -k 2 "$seconds" "$@" || code=$?
  if [ "$code" = 137 ]; then code=124; fi # it did not heed the first signal
  if [ "$code" = 124 ]; then echo "$* has not answered for ${seconds}s" >&2; fi
  return "$code"
}
soon() { within 8 "$@"; }
