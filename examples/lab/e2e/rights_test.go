//go:build e2e

package e2e

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// leastRights puts the lab into the hands of an operator who has what examples/rbac.yaml and examples/sudoers grant, and
// nothing else: a service account, and a login user on the hosts, who gives a password to sudo on w1 and none on cp1.
// With less than that they are told what is missing, before anything is done.
func (l *lab) leastRights() {
	l.t.Helper()
	l.hands = l.t.TempDir()
	rbac := l.example("rbac.yaml")
	eviction := regexp.MustCompile(`.*pods/eviction.*\n`)
	l.apply(eviction.ReplaceAllString(rbac, ""))
	l.handOver()
	o := l.operator()
	o.run(runbook).ends(4, "api.rights", "create pods/eviction", "examples/rbac.yaml", "host.sudo", "examples/sudoers")
	l.untouched()

	l.apply(rbac)
	sudoers := l.example("sudoers")
	l.sh("cp1", `printf '%s' "$1" >/etc/sudoers.d/upgrader && chmod 0440 /etc/sudoers.d/upgrader && visudo -c`, sudoers)
	l.sh("w1", `printf '%s' "$1" >/etc/sudoers.d/upgrader && chmod 0440 /etc/sudoers.d/upgrader && visudo -c`, withPassword(l.t, sudoers))
	for _, command := range []string{"preflight " + runbook, "doctor", "unlock --yes --run nobody"} {
		args := append(strings.Fields(command), l.reach()...)
		if strings.HasPrefix(command, "unlock") {
			args = args[:len(args)-2] // it has nothing to do with hosts
		}
		o.start(args...).ends(0)
	}
}

// withPassword is the example with its other rule.
func withPassword(t *testing.T, sudoers string) string {
	t.Helper()
	quiet, asking := "\nupgrader ALL=(root) NOPASSWD:", "\n# upgrader ALL=(root) PASSWD:"
	if !strings.Contains(sudoers, quiet) || !strings.Contains(sudoers, asking) {
		t.Fatalf("the example has not both rules:\n%s", sudoers)
	}
	return strings.NewReplacer(quiet, "\n# NOPASSWD:", asking, "\nupgrader ALL=(root) PASSWD:").Replace(sudoers)
}

func (l *lab) example(name string) string {
	l.t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// apply gives objects to the cluster as its administrator. A role that is there already is replaced.
func (l *lab) apply(objects string) {
	l.t.Helper()
	l.sh("cp1", `printf '%s' "$1" | kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -`, objects)
}

// handOver makes the login user on every host, and the operator's inventory and kubeconfig.
func (l *lab) handOver() {
	l.t.Helper()
	password := rand.Text()
	for _, host := range l.hosts {
		l.sh(host, `useradd --create-home --shell /bin/sh upgrader && printf 'upgrader:%s\n' "$1" | chpasswd &&
			install -d -o upgrader -g upgrader -m 0700 ~upgrader/.ssh && install -o upgrader -g upgrader -m 0600 /root/.ssh/authorized_keys ~upgrader/.ssh/`, password)
	}
	token := strings.TrimSpace(l.kubectl("-n", "kube-system", "create", "token", "upgrader", "--duration=3h"))
	admin := regexp.MustCompile(`(?s)    client-certificate-data: .*`)
	kubeconfig := admin.ReplaceAllString(l.read("kubeconfig"), "    token: "+token+"\n")
	inventory := regexp.MustCompile(`(name: w1, [^}]*)}`).ReplaceAllString(l.read("inventory.yaml"), "$1, ssh: {sudo: file:password}}")
	inventory = strings.NewReplacer("user: root", "user: upgrader", "identityFile: ", "identityFile: "+l.dir+"/", "knownHosts: ", "knownHosts: "+l.dir+"/").Replace(inventory)
	for name, text := range map[string]string{"kubeconfig": kubeconfig, "inventory.yaml": inventory, "password": password} {
		if err := os.WriteFile(filepath.Join(l.hands, name), []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
}

// read returns one of the files that the lab is used with.
func (l *lab) read(name string) string {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}
