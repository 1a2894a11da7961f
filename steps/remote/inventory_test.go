package remote

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
)

const goodInventory = `apiVersion: upgrader.dev/v1
kind: Inventory
ssh: {user: admin, identityFile: keys/id, knownHosts: ~/known, sudo: env:PW, connectTimeout: 3s}
hosts:
  - {name: cp1, address: 10.0.0.11, labels: {zone: a}}
  - {name: w1, groups: [gpu], port: 2222, ssh: {user: root}}
groups:
  control-plane: [cp1]
  workers: [w1]
`

func load(t *testing.T, text string) (*Inventory, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "inventory.yaml")
	write(t, path, text)
	inv, err := LoadInventory(path)
	return inv, filepath.Dir(path), err
}

func TestInventory(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	inv, dir, err := load(t, goodInventory)
	if err != nil {
		t.Fatal(err)
	}
	want := []engine.Target{
		{Name: "cp1", Labels: map[string]string{"zone": "a"}, Groups: []string{"control-plane"}},
		{Name: "w1", Groups: []string{"gpu", "workers"}},
	}
	if d := cmp.Diff(want, inv.Targets()); d != "" {
		t.Error(d)
	}
	if inv.SSH.IdentityFile != filepath.Join(dir, "keys/id") || inv.SSH.KnownHosts != "/home/me/known" {
		t.Errorf("paths: %+v", inv.SSH)
	}
	f := NewFleet(Config{Inventory: inv})
	defer f.Close()
	if h := newHost(f, inv.Hosts[1]); h.want.User != "root" || h.want.Port != 2222 || h.want.Sudo != "env:PW" || h.alias != "w1" {
		t.Errorf("w1 wants %+v", h.want)
	}
}

func TestInventoryFaultsAllAtOnce(t *testing.T) {
	_, _, err := load(t, strings.NewReplacer("[w1]", "[w1, w9, w1]", "name: w1", "name: cp1", "sudo: env:PW", "sudo: hunter2").Replace(goodInventory))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`two hosts are called "cp1"`, `group workers lists "w9"`, `group workers lists "w1"`, "a password itself does not belong in a file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("it shows the password: %v", err)
	}
	if _, _, err := load(t, strings.Replace(goodInventory, "hosts:", "host:", 1)); err == nil {
		t.Error("an unknown key was taken")
	}
}

func TestInventoryFromNodes(t *testing.T) {
	inv := FromNodes([]Node{{Name: "a", ControlPlane: true}, {Name: "b", Labels: map[string]string{"zone": "x"}}})
	want := []engine.Target{{Name: "a", Groups: []string{"control-plane"}}, {Name: "b", Groups: []string{"workers"}, Labels: map[string]string{"zone": "x"}}}
	if d := cmp.Diff(want, inv.Targets()); d != "" {
		t.Error(d)
	}
	if err := inv.Check(); err != nil {
		t.Error(err)
	}
}

func TestSSHConfiguration(t *testing.T) {
	r := newResolver(func(s string) { t.Log(s) })
	if r.ssh == "" {
		t.Skip("this test wants OpenSSH's client")
	}
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, `
Match exec "false"
  User nobody
Host cp1
  HostName 10.1.2.3
  Port 2200
  User carol
  IdentityFile /keys/%h
  IdentitiesOnly yes
  UserKnownHostsFile /a /b
  GlobalKnownHostsFile none
  HostKeyAlias cluster-cp1
  ProxyJump bastion:222
  ConnectTimeout 4
Host odd
  ProxyCommand nc %h %p
Host strict
  RevokedHostKeys /etc/ssh/revoked
`)
	e, err := r.resolve(t.Context(), "node-1", "cp1", SSH{Config: config, User: "dave"})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{e.hostport(), e.user, strings.Join(e.identities, " "), strings.Join(e.knownHosts, " "), e.keyName(), e.proxyJump, e.connectTimeout.String()}
	want := []string{"10.1.2.3:2200", "dave", "/keys/10.1.2.3", "/a /b", "cluster-cp1:22", "bastion:222", "4s"}
	if d := cmp.Diff(want, got); d != "" || !e.identitiesOnly {
		t.Errorf("identities only: %v\n%s", e.identitiesOnly, d)
	}
	if _, err := r.resolve(t.Context(), "node-2", "odd", SSH{Config: config}); err == nil || !strings.Contains(err.Error(), "ProxyCommand") {
		t.Errorf("ProxyCommand: %v", err)
	}
	if _, err := r.resolve(t.Context(), "node-3", "strict", SSH{Config: config}); err == nil || !strings.Contains(err.Error(), "RevokedHostKeys /etc/ssh/revoked") {
		t.Errorf("RevokedHostKeys: %v", err)
	}
}

// One mistake in the ssh configuration is told, and does not stop a run that does not need it.
func TestBrokenSSHConfigurationIsAWarning(t *testing.T) {
	var warned []string
	r := newResolver(func(s string) { warned = append(warned, s) })
	if r.ssh == "" {
		t.Skip("this test wants OpenSSH's client")
	}
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, "Host *\n  NoSuchWord yes\n")
	e, err := r.resolve(t.Context(), "w1", "10.0.0.5", SSH{Config: config, User: "root"})
	if err != nil || e.hostport() != "10.0.0.5:22" || e.user != "root" {
		t.Errorf("resolve = %v, %v", e, err)
	}
	if len(warned) != 1 || !strings.Contains(strings.ToLower(warned[0]), "nosuchword") || !strings.Contains(warned[0], config) {
		t.Errorf("warned %q", warned)
	}
}

func TestSecretReferences(t *testing.T) {
	t.Setenv("PW", "from-env")
	file := filepath.Join(t.TempDir(), "pw")
	write(t, file, "from-file\n")
	for ref, want := range map[string]string{"env:PW": "from-env", "file:" + file: "from-file", "cmd:printf 'from cmd\n'": "from cmd"} {
		if got, err := resolveSecret(t.Context(), ref); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v", ref, got, err)
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large")
	write(t, large, strings.Repeat("x", mostSecret+1))
	t.Setenv("LARGE", strings.Repeat("x", mostSecret+1))
	for _, ref := range []string{"file:" + large, "env:LARGE", "cmd:yes | tr -d '\n'"} {
		if _, err := resolveSecret(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "more than 64 KiB") {
			t.Errorf("%s: %.200v", ref, err)
		}
	}
	for _, ref := range []string{"file:" + file, "env:NOT_SET", "cmd:false", "cmd:printf 'two\nlines'", "plain"} {
		if got, err := resolveSecret(t.Context(), ref); err == nil {
			t.Errorf("%s = %q, want an error", ref, got)
		}
	}
}

// A fault stands where it is written, suggests what was meant, and thousands of one kind are counted: they neither fill
// the screen nor hide the others.
func TestInventoryFaultsAreBounded(t *testing.T) {
	var misspelt strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&misspelt, "    - wrker-%05d\n", i)
	}
	_, _, err := load(t, strings.Replace(largeInventory(3000), "  - name: worker-00001\n", "  - name: worker-00000\n", 1)+misspelt.String())
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	if len(text) > 10_000 {
		t.Errorf("%d bytes of faults", len(text))
	}
	for _, want := range []string{
		`inventory.yaml:11:5: two hosts are called "worker-00000"`,
		`:21007:7: group workers lists "worker-00001", which is not among the hosts; did you mean`,
		`:24006:7: group workers lists "wrker-00000", which is not among the hosts; did you mean "worker-00000"?`,
		"\nand 2981 more like these: group ... lists ..., which is not among the hosts",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

// An honest inventory of thousands of hosts is read; one that aliases blow up is not.
func TestInventoryLimits(t *testing.T) {
	if _, _, err := load(t, largeInventory(2000)); err != nil {
		t.Error(err)
	}
	bomb := "apiVersion: upgrader.dev/v1\nkind: Inventory\nhosts: []\ngroups:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("  a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	_, _, err := load(t, bomb)
	if err == nil || !strings.Contains(err.Error(), "the document has more than 1000000 values, aliases expanded; keep an inventory of its own for each cluster") {
		t.Errorf("got %v", err)
	}
}
