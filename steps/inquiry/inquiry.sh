# Comes before every script that asks a host about more than one thing.
#
# What is said stands in sections. A section begins with "== name" and what it is about. Answers are lines of their own; the
# lines of files, of logs and of other programs stand behind a bar, so that nothing in them is taken for an answer.
section() { printf '== %s\n' "$*"; }
bar() { sed 's/^/|/'; }

# within runs a program that may hang, as on a mount whose server is gone, for no longer than it may take to answer, so that
# what the script sees of the rest is told. Who hangs is named on standard error.
command -v timeout >/dev/null 2>&1 || timeout() { shift 3 && "$@"; }
within() { # SECONDS PROGRAM...; 124 if it did not answer
  seconds=$1 code=0
  shift
  timeout -k 2 "$seconds" "$@" || code=$?
  case $code in 137 | 143) code=124 ;; esac # it did not heed the first signal; that of BusyBox tells which one ended it
  if [ "$code" = 124 ]; then echo "$* has not answered for ${seconds}s" >&2; fi
  return "$code"
}
soon() { within 8 "$@"; }

# flag is the value that the manifest of a static pod gives a flag: COMPONENT FLAG. Nothing is said where there is none.
m=/etc/kubernetes/manifests
flag() { sed -n "s/^ *- --$2=//p" "$m/$1.yaml" 2>/dev/null | head -n 1 | tr -d "\"'"; }

# question and answered stand around what one of several questions runs. Both outputs are told apart by them.
question() { section question "$1"; section question "$1" >&2; }
answered() { section answered "$1"; section answered "$1" >&2; }
