//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A circumstance is what no script can bring about in the same words on both sides: on a real host it is made with
// real means, on a sandbox with the faults that it offers.
type circumstance struct {
	real    string                                        // a script; $1 is what stands for the * of its name
	pretend func(t *testing.T, s side, host, what string) // before undo, which both sides share
	undo    string
}

// circumstances are what the section `given` of a contract may name. A * stands for a word.
func circumstances() map[string]circumstance {
	return map[string]circumstance{
		"no health check of kubeadm": { // of the contract before: the Job goes some seconds after its kubeadm, and fails the next
			real: `KUBECONFIG=/etc/kubernetes/admin.conf kubectl -n kube-system wait --for=delete job/upgrade-health-check --timeout=60s >/dev/null 2>&1 || :
`,
			pretend: func(*testing.T, side, string, string) {},
		},
		"dpkg locked by *": {
			real: lockDpkg, undo: unlockDpkg,
			pretend: func(t *testing.T, s side, host, who string) {
				t.Cleanup(s.cluster.Machine(host).HoldDpkgLock(contractTime, who))
			},
		},
		"dpkg locked for a second by *": {
			real: lockDpkg + "systemd-run --quiet --unit=contract-unlock --on-active=1 -p Type=oneshot systemctl stop contract-lock\n",
			undo: unlockDpkg,
			pretend: func(t *testing.T, s side, host, who string) {
				t.Cleanup(s.cluster.Machine(host).HoldDpkgLock(time.Second, who))
			},
		},
		"* half-configured": {
			real: brokenPackage + `
: >/tmp/contract/stop
apt-get -y -q install /tmp/contract/broken.deb || :
rm /tmp/contract/stop
`,
			undo: restorePackage,
			pretend: func(t *testing.T, s side, host, name string) {
				s.cluster.Machine(host).BreakNextInstall()
				s.must(t, host, fmt.Sprintf(newPackage+`apt-get -y -q install %[1]s=$NEXT-1.1 || :`, name))
			},
		},
		"installation of * killed": {
			real: brokenPackage + `
: >/tmp/contract/wait
set -- "$1" /tmp/contract/broken.deb
` + killInstall + `
rm /tmp/contract/wait
`,
			undo: restorePackage,
			pretend: func(t *testing.T, s side, host, name string) {
				s.cluster.Machine(host).HangNextInstall()
				s.must(t, host, newPackage+fmt.Sprintf("set -- %[1]s %[1]s=$NEXT-1.1\n", name)+killInstall)
			},
		},
	}
}

// lockDpkg takes the lock that dpkg takes, which is one of fcntl(2) and not what flock(1) takes.
const lockDpkg = `
systemd-run --quiet --unit=contract-lock perl -MFcntl -e '
$0 = $ARGV[0];
for ("lock-frontend", "lock") {
	open my $f, "+<", "/var/lib/dpkg/$_" or die; push @held, $f;
	fcntl $f, F_SETLK, pack("s s x4 q q i x4", F_WRLCK, SEEK_SET, 0, 0, 0) or die;
}
sleep 60' "$1"
i=$(stat -c %i /var/lib/dpkg/lock)
until grep -q ":$i " /proc/locks; do sleep 0.02; done
`

const unlockDpkg = `
systemctl stop contract-lock 2>/dev/null || :
systemctl reset-failed contract-lock 2>/dev/null || :
`

// killInstall installs $2, and kills that when it has come to configuring the package $1: in its new version, since dpkg calls the old
// one half-configured too, for a moment before it unpacks.
const killInstall = `
systemd-run --quiet --unit=contract-install apt-get -y -q install "$2"
until dpkg-query -W -f '${db:Status-Abbrev} ${Version}' "$1" | grep -q "^.F.* $NEXT-"; do sleep 0.05; done
systemctl kill -s KILL contract-install
while systemctl is-active -q contract-install; do sleep 0.05; done
systemctl reset-failed contract-install || :
`

// newPackage lets apt know the next minor version.
const newPackage = `
mkdir -p /tmp/contract
cp -p /etc/apt/sources.list.d/kubernetes.list /tmp/contract/
sed -i "s#/v$NOW_MINOR/#/v$NEXT_MINOR/#" /etc/apt/sources.list.d/kubernetes.list
apt-get -q update
apt-mark unhold kubectl
`

// brokenPackage makes a package whose postinst fails while a file is there, and waits while another one is.
const brokenPackage = newPackage + `
cd /tmp/contract
chmod 755 .
apt-get download -q "$1=$NEXT-1.1"
dpkg-deb -R "$1"_*.deb deb
printf '#!/bin/sh\nwhile [ -e /tmp/contract/wait ]; do sleep 0.1; done\n[ ! -e /tmp/contract/stop ]\n' >deb/DEBIAN/postinst
chmod 755 deb/DEBIAN deb/DEBIAN/postinst
dpkg-deb -Znone -b deb broken.deb
`

const restorePackage = `
dpkg --configure -a
if [ -d /tmp/contract ]; then cp -p /tmp/contract/kubernetes.list /etc/apt/sources.list.d/; fi
rm -rf /tmp/contract
apt-get -q update
apt-get -y -q --allow-downgrades --allow-change-held-packages install "kubectl=$NOW-1.1"
apt-mark hold kubectl
`

// given brings about what a contract asks for; when the test ends it is undone.
func (s side) given(t *testing.T, host, text string) {
	t.Helper()
	for name, c := range circumstances() {
		before, after, _ := strings.Cut(name, "*")
		if !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) {
			continue
		}
		what := strings.TrimSuffix(strings.TrimPrefix(text, before), after)
		if strings.Contains(what, " ") {
			continue // a longer name begins alike
		}
		t.Cleanup(func() { s.must(t, host, c.undo) })
		if s.cluster == nil {
			s.must(t, host, "set -- "+what+"\n"+c.real)
			return
		}
		c.pretend(t, s, host, what)
		return
	}
	t.Fatalf("nobody knows how to bring about %q", text)
}

// must runs a script that prepares or puts back.
func (s side) must(t *testing.T, host, script string) {
	t.Helper()
	if a := s.sh(t, host, script); a.exit != 0 {
		t.Errorf("%s: preparing or putting back: exit status %d\n%s%s", s.name, a.exit, a.stdout, a.stderr)
	}
}
