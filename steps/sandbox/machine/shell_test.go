package machine

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestTheRealShellAgrees runs the cases that say nothing of the pretend machine itself through the dash and the
// coreutils of this machine, where there are any: what is expected of the pretend ones is what the real ones do.
func TestTheRealShellAgrees(t *testing.T) {
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("no dash here")
	}
	check := func(name, script, want string, code int) {
		t.Helper()
		tmp := t.TempDir()
		cmd := exec.Command(dash)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
		cmd.Stdin = strings.NewReader("umask 022\n" + strings.ReplaceAll(script, "/tmp", tmp))
		out, err := cmd.Output()
		status := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			status = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(string(out), tmp, "/tmp"); got != want || status != code {
			t.Errorf("%s: the real one says %q, status %d; expected here: %q, status %d", name, got, status, want, code)
		}
	}
	for _, tc := range shellCases {
		if !tc.own {
			check(tc.name, tc.script, tc.want, tc.code)
		}
	}
	for _, tc := range coreutilsCases {
		if !tc.own {
			check(tc.script, coreutilsFiles+"\n"+tc.script, tc.want, tc.code)
		}
	}
}

// shellCases are scripts, what they print and how they end; own are those whose answer is the pretend
// machine's own: what it is called, and the status 1 where dash says 2 after a failed redirection or an unset variable.
var shellCases = []struct {
	name, script, want string
	code               int
	own                bool
}{
	{"variables", "set -eu\nA='x y'\necho \"$A\"\necho ${B:-none}", "x y\nnone\n", 0, false},
	{"quotes in an assignment", "X='it'\\''s'\\ ok\\\\\necho \"$X\"\ncase a\\*b in 'a*b') echo y;; esac\necho z >/tmp/sp\\ ace; cat '/tmp/sp ace'", "it's ok\\\ny\nz\n", 0, false},
	{"errexit", "set -e\nfalse\necho never", "", 1, false},
	{"errexit of a subshell alone", "set -eu\ntrap 'echo bye' EXIT\nx=1\nset +e\n(\nset -eu\necho $x\nx=2\nfalse\necho never\n)\necho $?\n( exit 3 )\necho $?\nset -e\necho $x\nfalse\necho never", "1\n1\n3\n1\nbye\n", 1, false},
	{"unset variable", "set -u\necho \"$NOPE\"\necho never", "", 1, true},
	{"exit in a brace", "{\nexec </dev/null\necho a\nexit 3\n}\n", "a\n", 3, false},
	{"trap EXIT", "trap 'echo bye $?' EXIT\nexit 4", "bye 4\n", 4, false},
	{"trap of signals", "trap 'echo x' HUP INT TERM\ntrap '' HUP\necho ok", "ok\n", 0, false},
	{"a file written over", "printf '%-5s\\n' run >/tmp/end\necho rest >>/tmp/end\nprintf '%-5s\\n' 0 1<>/tmp/end\ncat /tmp/end", "0    \nrest\n", 0, false},
	{"here-document", "x=1\ncat <<EOF\na $x\nEOF\ncat <<'EOF'\nb $x\nEOF", "a 1\nb $x\n", 0, false},
	{"function and local", "f() { local v; v=$1; echo \"$v\"; return 2; }\nif f a; then :; else echo $?; fi", "a\n2\n", 0, false},
	{"pipe into a loop runs apart", "n=0\nprintf '1\\n2\\n' | while read -r x; do n=$x; done\necho $n", "0\n", 0, false},
	{"exit in the last part of a pipe", "echo x | { read -r y; exit 5; } || echo $?", "5\n", 0, false},
	{"command -v", "command -v kubeadm; command -v nothing || echo $?; f() { :; }; command -v f", "/usr/bin/kubeadm\n127\nf\n", 0, true},
	{"unknown command", "nothing --at all", "", 127, false},
	{"bashism", "[[ a = a ]]", "", 127, false},
	{"umask", "umask 077\nmkdir /tmp/u\n: >/tmp/u/f\nstat -c '%a %U' /tmp/u /tmp/u/f", "700 root\n600 root\n", 0, false},
	{"own pid is alive", "kill -0 $$ && echo yes\nkill -0 99999 2>/dev/null || echo no", "yes\nno\n", 0, false},
	{"comm of the own process", "cat /proc/$$/comm", "sh\n", 0, true},
	{"tests of files", "mkdir -p /tmp/t; : >/tmp/t/a; ln -s a /tmp/t/l\n[ -f /tmp/t/a ] && [ -d /tmp/t ] && [ -L /tmp/t/l ] && [ ! -s /tmp/t/a ] && [ -x /usr/bin/kubeadm ] && echo ok", "ok\n", 0, true},
	{"-nt and -ef", "touch -d @100 /tmp/old; touch /tmp/new; [ /tmp/new -nt /tmp/old ] && echo newer; ln /tmp/new /tmp/same; [ /tmp/new -ef /tmp/same ] && echo same; [ /tmp/new -ef /tmp/old ] || echo other", "newer\nsame\nother\n", 0, false},
	{"glob", "mkdir /tmp/g; touch /tmp/g/b /tmp/g/a; echo /tmp/g/*; cd /tmp/g; echo *; echo *.none", "/tmp/g/a /tmp/g/b\na b\n*.none\n", 0, false},
	{"substitution keeps the status", "x=$(false) || echo $?", "1\n", 0, false},
	{"noclobber", "set -C\n: >/tmp/n\n( : >/tmp/n ) 2>/dev/null || echo refused", "refused\n", 0, false},
	{"descriptors", "exec 9>/tmp/fd\necho one >&9\nexec 9>&-\ncat /tmp/fd", "one\n", 0, false},
	{"flock by descriptor", "( flock -n 9 && echo got; flock -n /tmp/lk true || echo held ) 9>/tmp/lk\nflock -n /tmp/lk echo free", "got\nheld\nfree\n", 0, false},
	{"child without the lock", "exec 8>/tmp/lk9; flock -n 8; ( echo child ) 8>&-\nflock -n /tmp/lk9 true || echo held", "child\nheld\n", 0, false},
	{"subshell frees what it opened", "( exec 8>/tmp/lk8; flock -n 8; echo in )\nflock -n /tmp/lk8 echo out", "in\nout\n", 0, false},
	{"background and wait", "( sleep 0.1; echo late ) &\nwait\necho done", "late\ndone\n", 0, false},
	{"arithmetic", "echo $(( (7 * 3) % 4 )) $((1 << 4))", "1 16\n", 0, false},
	{"case", "case 1.28.15-1.1 in 1.28.*) echo y;; *) echo n;; esac", "y\n", 0, false},
	{"set --", "set -- a b; set -- \"$@\" c; echo $# $3", "3 c\n", 0, false},
	{"read fields", "read -r up idle </proc/uptime\n[ -n \"$up\" ] && echo ok", "ok\n", 0, false},
	{"sh -c with arguments", "sh -c 'echo $0 $1' a b; sh -euc 'false; echo no'; echo $?", "a b\n1\n", 0, false},
	{"environment", "A=1 B=2 env | grep -E '^[AB]=' | sort; export C=3; sh -c 'echo $C'; D=4; sh -c 'echo [$D]'", "A=1\nB=2\n3\n[]\n", 0, false},
	{"script file", "printf '#!/bin/sh\\necho hi $1\\n' >/tmp/s; chmod +x /tmp/s; /tmp/s you; sh /tmp/s me", "hi you\nhi me\n", 0, false},
	{"not executable", ": >/tmp/ne; /tmp/ne", "", 126, false},
	{"redirect into nowhere", "echo x >/none/f || echo $?", "1\n", 0, true},
	{"dup of stderr", "{ echo out; echo err >&2; } 2>&1 | sort", "err\nout\n", 0, false},
	{"timeout", "timeout 0.1 sleep 5; echo $?", "124\n", 0, false},
	{"xargs", "printf 'a b\\nc\\n' | xargs -n 1 echo -", "- a\n- b\n- c\n", 0, false},
}

// TestShell proves that scripts behave as under dash.
func TestShell(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	for _, tc := range shellCases {
		t.Run(tc.name, func(t *testing.T) {
			a := on(c, "/bin/sh", tc.script)
			if a.failure != nil || a.out != tc.want || a.code != tc.code {
				t.Errorf("%s\n got %q, status %d (%v; stderr %q)\nwant %q, status %d", tc.script, a.out, a.code, a.failure, a.err, tc.want, tc.code)
			}
		})
	}
}

// coreutilsFiles are what the cases below work on.
const coreutilsFiles = "printf 'b 2\\na 10\\nc 1\\na 10\\n' >/tmp/x; printf 'one\\ntwo\\nthree\\n' >/tmp/y"

var coreutilsCases = []struct {
	script, want string
	code         int
	own          bool
}{
	{"head -n 1 /tmp/x; tail -n 1 /tmp/y; tail -n +2 /tmp/y; head -c 3 /tmp/y; echo; tail -c 4 /tmp/y; tail -c +12 /tmp/y", "b 2\nthree\ntwo\nthree\none\nree\nee\n", 0, false},
	{"head -1 /tmp/y; head -n -1 /tmp/y", "one\none\ntwo\n", 0, false},
	{"wc -l </tmp/y; wc -c /tmp/y", "3\n14 /tmp/y\n", 0, false},
	{"sort -u /tmp/x; sort -k 2 -n /tmp/x | head -n 1; sort /tmp/x | uniq -c", "a 10\nb 2\nc 1\nc 1\n      2 a 10\n      1 b 2\n      1 c 1\n", 0, false},
	{"printf '1.9\\n1.10\\n' | sort -V -r", "1.10\n1.9\n", 0, false},
	{"cut -d ' ' -f 2 /tmp/x | head -n 2; echo a:b:c | cut -d: -f 2-; echo abcdef | cut -c 2-3", "2\n10\nb:c\nbc\n", 0, false},
	{"echo a-b | tr -d -; echo 'a   b' | tr -s ' '; echo abc | tr a-c A-C; printf 'a\\0b' | tr '\\000' ' '", "ab\na b\nABC\na b", 0, false},
	{"grep -c e /tmp/y; grep -n t /tmp/y; grep -v -x one /tmp/y; grep -o 'e*$' /tmp/y", "2\n2:two\n3:three\ntwo\nthree\ne\nee\n", 0, false},
	{"grep -q none /tmp/y", "", 1, false},
	{"grep -q x /none", "", 2, false},
	{"grep -s x /none", "", 2, false},
	{"grep -E '^(one|two)$' /tmp/y; grep 'o\\{1\\}ne' /tmp/y; grep -F -x one /tmp/y; grep -i ONE /tmp/y", "one\ntwo\none\none\none\n", 0, false},
	{"sed -n 2p /tmp/y; sed 's/o/0/g;/three/d' /tmp/y; sed -E 's/(t)(w)/\\2\\1/' /tmp/y | sed -n '/w/,$p'", "two\n0ne\ntw0\nwto\nthree\n", 0, false},
	{"sed -n 's/^\\(.\\)ne/\\1!/p' /tmp/y; sed '1!d' /tmp/y; sed -n '$p' /tmp/y; echo a/b | sed 's#/#:#'", "o!\none\nthree\na:b\n", 0, false},
	{"cp /tmp/y /tmp/z; sed -i -E 's#^(one|two)$#<\\1>#' /tmp/z; cat /tmp/z", "<one>\n<two>\nthree\n", 0, false},
	{"printf 'k: v\\n  image: x\\n' | sed -nE 's/^ *(- )?image: *//p'", "x\n", 0, false},
	{"basename /a/b.c .c; dirname /a/b; dirname x", "b\n/a\n.\n", 0, false},
	{"mkdir /tmp/d && mkdir /tmp/d 2>/dev/null || echo there; rmdir /tmp/d; rm /tmp/none 2>/dev/null || echo no; rm -f /tmp/none", "there\nno\n", 0, false},
	{"mkdir -p /tmp/p/q; touch /tmp/p/q/f; rm /tmp/p 2>&1; rm -rf /tmp/p; ls /tmp/p 2>&1", "rm: cannot remove '/tmp/p': Is a directory\nls: cannot access '/tmp/p': No such file or directory\n", 2, false},
	{"d=$(mktemp -d); stat -c %a \"$d\"; f=$(mktemp \"$d/a.XXXXXX\"); stat -c '%a %s %F' \"$f\"", "700\n600 0 regular empty file\n", 0, false},
	{"printf abc | sha256sum; printf abc | sha256sum | cut -d ' ' -f 1 | wc -c", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n65\n", 0, false},
	{"printf 'A\\001' | od -An -v -tx1", " 41 01\n", 0, false},
	{"df -Pk /tmp | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4", "31457280\n", 0, true},
	{"id -u; id -un; hostname; date -u -d @0 +%Y-%m-%dT%H:%M:%SZ", "0\nroot\ncp1\n1970-01-01T00:00:00Z\n", 0, true},
	{"mkdir /tmp/f; touch -d @5 /tmp/f/a; touch /tmp/f/b; find /tmp/f -type f -newer /tmp/f/a; find /tmp/f -name 'a*'; ls -1t /tmp/f", "/tmp/f/b\n/tmp/f/a\nb\na\n", 0, false},
	{"ln -sfn /tmp/y /tmp/link; readlink /tmp/link; cat /tmp/link | head -n 1; readlink -f /bin/sh", "/tmp/y\none\n/usr/bin/sh\n", 0, true},
	{"mkdir /tmp/m1; echo 1 >/tmp/m1/a; mv /tmp/m1/a /tmp/m1/b; cat /tmp/m1/b; ls /tmp/m1", "1\nb\n", 0, false},
	{"echo x | tee -a /tmp/tee; cat /tmp/tee; truncate -s 0 /tmp/tee; wc -c </tmp/tee", "x\nx\n0\n", 0, false},
	{"cat --show-all /tmp/y 2>&1", "cat: the pretend command does not know \"--show-all\"\n", 2, true},
	{"chmod 640 /tmp/y; stat -c %a /tmp/y; chmod u+x,go-r /tmp/y; stat -c %A /tmp/y", "640\n-rwx------\n", 0, false},
	{"echo aGk= | base64 -d; printf hi | base64", "hiaGk=\n", 0, false},
}

// TestCoreutils proves the commands of the vocabulary.
func TestCoreutils(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	if a := on(c, "/bin/sh", coreutilsFiles); a.code != 0 {
		t.Fatal(a.err)
	}
	for _, tc := range coreutilsCases {
		if a := on(c, "/bin/sh", tc.script); a.failure != nil || a.out != tc.want || a.code != tc.code {
			t.Errorf("%s\n got %q, status %d (%v; stderr %q)\nwant %q, status %d", tc.script, a.out, a.code, a.failure, a.err, tc.want, tc.code)
		}
	}
}

// TestReadingRecordsNothing proves that looking at a machine leaves no effect.
func TestReadingRecordsNothing(t *testing.T) {
	r := newRig(t, nil)
	r.sh("cat /etc/hostname >/dev/null; systemctl show kubelet; apt-cache madison kubeadm; dpkg-query -W; echo x >/tmp/f; mkdir -p /var/lib/upgrader/jobs")
	if l := r.effects.list(); len(l) > 0 {
		t.Errorf("reading recorded %q", l)
	}
	r.sh("echo x >/etc/motd; echo x >/etc/motd; rm /etc/motd")
	if got, want := strings.Join(r.effects.list(), "\n"), "file: wrote /etc/motd\nfile: removed /etc/motd"; got != want {
		t.Errorf("writing recorded\n%s\nwant\n%s", got, want)
	}
}
