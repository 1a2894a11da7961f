package remote

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"upgrader.dev/upgrader/engine"
)

// ask makes a fleet of an inventory, runs `true` on w1 and returns the error.
func ask(t *testing.T, inv *Inventory) error {
	t.Helper()
	f := NewFleet(Config{Inventory: inv, Warn: func(s string) { t.Log(s) }})
	defer f.Close()
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Query(t.Context(), Script{Text: "true", AsUser: true})
	return err
}

// A host that is not the known one gets nothing: not even the attempt to log in.
func TestHostKeys(t *testing.T) {
	d, s := startSmall(t, "")
	good, err := os.ReadFile(d.knownHosts)
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(good[strings.IndexByte(string(good), ' ')+1:])
	if err != nil {
		t.Fatal(err)
	}
	other := newKey(t, filepath.Join(d.dir, "other")).PublicKey()
	line := func(name string, k ssh.PublicKey) string { return knownhosts.Line([]string{name}, k) + "\n" }
	hashed := xknownhosts.HashHostname(knownhosts.Normalize(d.addr)) + " " + string(ssh.MarshalAuthorizedKey(key))
	cases := []struct {
		name, file string
		want       error
		says       string
	}{
		{"known", string(good), nil, ""},
		{"hashed", hashed, nil, ""},
		{"among others and broken lines", "# comment\nbroken line\nx ssh-moon AAAA\n" + line("other.example:22", other) + string(good), nil, ""},
		{"known for all ports", line("127.0.0.*", key), nil, ""},
		{"unknown", line("other.example:22", key), ErrUnknownHostKey, ssh.FingerprintSHA256(key)},
		{"no file", "", ErrUnknownHostKey, "true` once and answer yes"},
		{"changed", line(d.addr, other), ErrChangedHostKey, ":1 ssh-ed25519 " + ssh.FingerprintSHA256(other)},
		{"revoked", string(good) + "@revoked * " + string(ssh.MarshalAuthorizedKey(key)), ErrRevokedHostKey, "do not connect"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := s.logins()
			write(t, d.knownHosts, c.file)
			if c.file == "" {
				_ = os.Remove(d.knownHosts)
			}
			err := ask(t, d.inventory())
			if !errors.Is(err, c.want) || (err != nil && !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v\nwant %v saying %q", err, c.want, c.says)
			}
			if _, transient := errors.AsType[*engine.TransientError](err); transient {
				t.Errorf("it is transient: %v", err)
			}
			if c.want != nil && s.logins() != before {
				t.Error("a login was attempted at a host that is not trusted")
			}
		})
	}
}

func TestHostKeyOfAnotherType(t *testing.T) {
	d, s := startSmall(t, "")
	write(t, d.knownHosts, "["+strings.Replace(d.addr, ":", "]:", 1)+" ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=\n")
	if err := ask(t, d.inventory()); !errors.Is(err, ErrChangedHostKey) || s.logins() != 0 {
		t.Errorf("got %v after %d logins, want ErrChangedHostKey and none", err, s.logins())
	}
}

func TestKeys(t *testing.T) {
	d, _ := startSmall(t, "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("SSH_AUTH_SOCK", "")
	wrong := filepath.Join(d.dir, "wrong")
	signer := newKey(t, wrong)
	inv := d.inventory()
	inv.SSH.IdentityFile = wrong
	err := ask(t, inv)
	for _, part := range []string{"w1 (admin@127.0.0.1:", wrong, ssh.FingerprintSHA256(signer.PublicKey()), "Log in with `ssh"} {
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v\nwant ErrAuth saying %q", err, part)
		}
	}
	inv.SSH.IdentityFile = filepath.Join(d.dir, "absent")
	if err := ask(t, inv); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("an absent identity file: %v", err)
	}
	inv.SSH.IdentityFile = ""
	if err := ask(t, inv); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "no key to offer") {
		t.Errorf("no key at all: %v", err)
	}
}

// TestAKeyThatOthersMayRead proves that a key which ssh would ignore is refused with ssh's words and the command that mends it, and
// that ssh does ignore it.
func TestAKeyThatOthersMayRead(t *testing.T) {
	d, _ := startSmall(t, "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("SSH_AUTH_SOCK", "")
	for _, mode := range []os.FileMode{0o644, 0o640, 0o620, 0o602, 0o601} {
		if err := os.Chmod(d.identity, mode); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("permissions %#o for %s are too open", mode, d.identity)
		if err := ask(t, d.inventory()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "chmod 600 "+d.identity) {
			t.Errorf("%#o: %v", mode, err)
		}
		if said, err := exec.Command("ssh-keygen", "-y", "-P", "", "-f", d.identity).CombinedOutput(); err == nil && !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%#o: ssh-keygen takes it: %s", mode, said)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o700} {
		if err := os.Chmod(d.identity, mode); err != nil {
			t.Fatal(err)
		}
		if err := ask(t, d.inventory()); err != nil {
			t.Errorf("%#o: %v", mode, err)
		}
	}
	if os.Getuid() != 0 {
		return
	}
	if err := errors.Join(os.Chmod(d.identity, 0o640), os.Chown(d.identity, 4242, 0)); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, d.inventory()); err != nil {
		t.Errorf("another owner's: %v", err)
	}
}

func TestLockedKeyAndAgent(t *testing.T) {
	d, _ := startSmall(t, "")
	t.Setenv("SSH_AUTH_SOCK", "")
	data, err := os.ReadFile(d.identity)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "locked", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, d.identity, string(pem.EncodeToMemory(block)))
	if err := ask(t, d.inventory()); err == nil || !strings.Contains(err.Error(), "ssh-add "+d.identity) {
		t.Errorf("a locked key without an agent: %v", err)
	}
	keyring := agent.NewKeyring()
	if err := keyring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_AUTH_SOCK", serveAgent(t, keyring))
	if err := ask(t, d.inventory()); err != nil {
		t.Errorf("a locked key that the agent has: %v", err)
	}
	inv := d.inventory()
	inv.SSH.IdentityFile = ""
	t.Setenv("HOME", t.TempDir())
	if err := ask(t, inv); err != nil {
		t.Errorf("the agent alone: %v", err)
	}
}

func serveAgent(t *testing.T, keyring agent.Agent) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = agent.ServeAgent(keyring, c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return path
}

// A connection on which a host hangs is left alone as long as it leads to other hosts: what runs there would be in doubt.
func TestAJumpHostThatHangsStillLeadsToOthers(t *testing.T) {
	jump, target := startOpenSSH(t, ""), startOpenSSH(t, "")
	inv := target.inventory()
	bastion := jump.inventory().Hosts[0]
	bastion.Name, bastion.SSH = "bastion", SSH{ProxyJump: "none"}
	inv.Hosts = append(inv.Hosts, bastion)
	inv.SSH.ProxyJump, inv.SSH.KnownHosts = bastion.User+"@"+jump.addr, filepath.Join(t.TempDir(), "known_hosts")
	write(t, filepath.Join(jump.dir, "authorized_keys"), fileWord(t, filepath.Join(target.dir, "authorized_keys"))+"\n")
	write(t, inv.SSH.KnownHosts, fileWord(t, jump.knownHosts)+"\n"+fileWord(t, target.knownHosts)+"\n")
	f := NewFleet(Config{Inventory: inv, StateDir: target.dir + "/state"})
	defer f.Close()
	w1, _ := f.host("w1")
	began, over := filepath.Join(target.dir, "began"), filepath.Join(target.dir, "over")
	ended := make(chan error, 1)
	go func() {
		_, err := w1.Run(t.Context(), ticket("t-1", 1, nil), Script{Text: `: >"$B"; while [ ! -e "$O" ]; do sleep 0.05; done`, Env: map[string]string{"B": began, "O": over}})
		ended <- err
	}()
	eventually(t, "it has begun", func() bool { _, err := os.Stat(began); return err == nil })
	way, err := w1.trunk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := way.via.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.retire()
	b, _ := f.Host("bastion")
	if _, err := b.Query(t.Context(), Script{Text: "true"}); err != nil { // on another connection
		t.Error(err)
	}
	write(t, over, "")
	if err := <-ended; err != nil {
		t.Errorf("what ran behind the jump host: %v", err)
	}
	_ = way.now.client.Close()
	<-l.gone // nobody needs it any more
}

func TestProxyJump(t *testing.T) {
	jump, target := startOpenSSH(t, ""), startOpenSSH(t, "")
	inv := target.inventory()
	inv.SSH.ProxyJump = jump.user + "@" + jump.addr + "," + jump.user + "@" + jump.addr
	inv.SSH.KnownHosts = filepath.Join(t.TempDir(), "known_hosts")
	jumpKnown, _ := os.ReadFile(jump.knownHosts)
	targetKnown, _ := os.ReadFile(target.knownHosts)
	targetKey, _ := os.ReadFile(filepath.Join(target.dir, "authorized_keys"))
	write(t, filepath.Join(jump.dir, "authorized_keys"), string(targetKey)) // one key for both
	write(t, inv.SSH.KnownHosts, string(jumpKnown)+string(targetKnown))
	if err := ask(t, inv); err != nil {
		t.Errorf("through two jumps: %v", err)
	}
	write(t, inv.SSH.KnownHosts, string(targetKnown))
	err := ask(t, inv)
	if !errors.Is(err, ErrUnknownHostKey) || !strings.Contains(err.Error(), "jump host") {
		t.Errorf("an unknown jump host: %v", err)
	}
	if _, transient := errors.AsType[*engine.TransientError](err); transient {
		t.Errorf("an unknown jump host is transient: %v", err)
	}
	write(t, inv.SSH.KnownHosts, string(jumpKnown))
	if err := ask(t, inv); !errors.Is(err, ErrUnknownHostKey) || strings.Contains(err.Error(), "jump host") {
		t.Errorf("an unknown target behind a known jump host: %v", err)
	}
}
