package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"upgrader.dev/upgrader/steps/remote"
)

// A server is one OpenSSH sshd on loopback that plays every host.
type server struct {
	dir, addr, user string
	signer          ssh.Signer
	hostKey         ssh.PublicKey
}

func name(i int) string { return fmt.Sprintf("h%03d", i) }

// start runs an sshd, under the words given, until the benchmark ends. Its logins have an empty home: what a person keeps in
// .bashrc is read at every session, and is no part of the figure.
func start(b *testing.B, under []string) server {
	b.Helper()
	const sshd = "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		b.Skip("this benchmark wants OpenSSH's sshd: apt-get install openssh-server")
	}
	me, err := user.Current()
	if err != nil {
		b.Fatal(err)
	}
	if me.Uid == "0" {
		_ = os.MkdirAll("/run/sshd", 0o755) // sshd says so if it is missing
	}
	s := server{dir: b.TempDir(), user: me.Username}
	s.signer = newKey(b, filepath.Join(s.dir, "id"))
	s.hostKey = newKey(b, filepath.Join(s.dir, "host_key")).PublicKey()
	s.addr = freeAddress(b)
	host, port, _ := net.SplitHostPort(s.addr)
	write(b, filepath.Join(s.dir, "authorized_keys"), string(ssh.MarshalAuthorizedKey(s.signer.PublicKey())))
	var known strings.Builder
	for i := range hosts {
		fmt.Fprintf(&known, "%s %s", address(i), ssh.MarshalAuthorizedKey(s.hostKey))
	}
	fmt.Fprintf(&known, "bench %s", ssh.MarshalAuthorizedKey(s.hostKey)) // for ansible
	write(b, filepath.Join(s.dir, "known_hosts"), known.String())
	write(b, filepath.Join(s.dir, "sshd_config"), fmt.Sprintf(`Port %s
ListenAddress %s
HostKey %[3]s/host_key
AuthorizedKeysFile %[3]s/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
SetEnv HOME=%[3]s
LogLevel ERROR
MaxStartups 1000
`, port, host, s.dir))
	args := append(under, sshd, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config"))
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr, cmd.SysProcAttr = log, &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // and what it runs under
		_ = cmd.Wait()
		_ = log.Close()
		if said, _ := os.ReadFile(log.Name()); b.Failed() {
			b.Logf("sshd: %s", said)
		}
	})
	s.await(b)
	return s
}

func (s server) await(b *testing.B) {
	b.Helper()
	for range 1000 {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Fatal("sshd does not listen")
}

func (s server) dial() (*ssh.Client, error) {
	return ssh.Dial("tcp", s.addr, &ssh.ClientConfig{
		User: s.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(s.signer)},
		HostKeyCallback: ssh.FixedHostKey(s.hostKey), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	})
}

// fleet reaches this one server under so many names. Each has an address of its own, or the fleet would see one machine and
// share one connection; every address leads here.
func (s server) fleet(n int, stateDir string) *remote.Fleet {
	return remote.NewFleet(remote.Config{
		Inventory: s.inventory(n), StateDir: stateDir, Dial: s.reach,
	})
}

func (s server) reach(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, s.addr)
}

func address(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }

func (s server) inventory(n int) *remote.Inventory {
	inv := &remote.Inventory{SSH: remote.SSH{
		User: s.user, IdentityFile: filepath.Join(s.dir, "id"), KnownHosts: filepath.Join(s.dir, "known_hosts"), Config: "none",
	}}
	for i := range n {
		inv.Hosts = append(inv.Hosts, remote.Machine{Name: name(i), Address: address(i)})
	}
	return inv
}

// freeAddress is one of this machine where nobody listens.
func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newKey(b *testing.B, path string) ssh.Signer {
	b.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "bench")
	if err != nil {
		b.Fatal(err)
	}
	write(b, path, string(pem.EncodeToMemory(block)))
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		b.Fatal(err)
	}
	return signer
}

func write(b *testing.B, path, text string) {
	b.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// machineBusy is the processor time that this machine has spent at work since it started, whoever it was for: the hosts'
// processes leave the sshd that began them.
func machineBusy(b *testing.B) time.Duration {
	b.Helper()
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		b.Skip("this benchmark wants Linux: ", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	ticks := 0
	for i, word := range strings.Fields(line) {
		if i >= 1 && i <= 7 && i != 4 && i != 5 { // user, nice, system, irq, softirq; without idle and iowait
			n, _ := strconv.Atoi(word)
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / 100)
}
