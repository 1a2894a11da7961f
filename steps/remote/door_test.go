package remote

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// A smallServer is an SSH server that runs commands with the shell of this machine, so that these tests run anywhere.
// It can do what OpenSSH will not on demand: lose every connection, or have another sudo.
type smallServer struct {
	config *ssh.ServerConfig
	path   string // PATH of the commands
	mute   bool   // it answers no order for a command

	mu    sync.Mutex
	conns map[net.Conn]bool
	tried int // logins attempted
	begun int // sessions
	wg    sync.WaitGroup
}

// startSmall runs a small server. bin, if given, is a directory that comes first in its PATH.
func startSmall(t *testing.T, bin string) (door, *smallServer) {
	t.Helper()
	dir := hostDir(t)
	d := door{user: "admin", dir: dir, identity: filepath.Join(dir, "id"), knownHosts: filepath.Join(dir, "known_hosts")}
	key, hostKey := newKey(t, d.identity), newKey(t, filepath.Join(dir, "host_key"))
	s := &smallServer{conns: map[net.Conn]bool{}, path: bin + ":" + defaultPath}
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, got ssh.PublicKey) (*ssh.Permissions, error) {
		s.mu.Lock()
		s.tried++
		s.mu.Unlock()
		if string(got.Marshal()) != string(key.PublicKey().Marshal()) {
			return nil, errors.New("not this key")
		}
		return nil, nil
	}}
	s.config.AddHostKey(hostKey)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = l.Addr().String()
	write(t, d.knownHosts, knownhosts.Line([]string{d.addr}, hostKey.PublicKey())+"\n")
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.cut()
		s.wg.Wait()
	})
	return d, s
}

// cut loses every connection.
func (s *smallServer) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *smallServer) logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

func (s *smallServer) sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

func (s *smallServer) serve(conn net.Conn) {
	s.mu.Lock()
	s.conns[conn] = true
	s.mu.Unlock()
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	c, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	defer c.Close()
	s.wg.Go(func() { ssh.DiscardRequests(requests) })
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, reqs, err := ch.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.session(channel, reqs) })
	}
}

func (s *smallServer) session(ch ssh.Channel, reqs <-chan *ssh.Request) {
	s.mu.Lock()
	s.begun++
	s.mu.Unlock()
	for r := range reqs {
		if s.mute {
			continue
		}
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		var payload struct{ Command string }
		if err := ssh.Unmarshal(r.Payload, &payload); err != nil {
			_ = r.Reply(false, nil)
			continue
		}
		_ = r.Reply(true, nil)
		s.wg.Go(func() {
			defer ch.Close()
			code := runLocally(payload.Command, s.path, ch)
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)}))
		})
	}
}

// runLocally runs a command with the channel as its three streams, as sshd does: through pipes.
func runLocally(command, path string, ch ssh.Channel) int {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=" + path, "HOME=/", "LC_ALL=de_DE.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil {
		return 254
	}
	if err := cmd.Start(); err != nil {
		return 254
	}
	go func() {
		_, _ = io.Copy(in, ch)
		_ = in.Close()
	}()
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}

// tools makes a directory of executable scripts. A login that has a sudo among them is nobody special, whoever runs the test.
func tools(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if scripts["sudo"] != "" && scripts["id"] == "" {
		scripts = maps.Clone(scripts)
		scripts["id"] = "echo 1000"
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sudoAsks is a sudo that wants this password, gives two tries and writes down every one.
func sudoAsks(password, log string) string {
	return fmt.Sprintf(`
[ "$1" = -n ] && { echo 'sudo: a password is required' >&2; exit 1; }
prompt=$4; shift 4
for try in 1 2; do
	printf 'We trust you have received the usual lecture.\n%%s' "$prompt" >&2
	IFS= read -r got || exit 1
	echo "$got" >>%s
	[ "$got" = '%s' ] && exec "$@"
	echo 'Sorry, try again.' >&2
done
exit 1
`, quote(log), password)
}
