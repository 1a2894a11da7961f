package machine

import (
	"context"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"
	"mvdan.cc/sh/v3/expand"
)

// A session is one SSH session: at most one command, run by the login's shell.
type session struct {
	m       *Machine
	channel ssh.Channel
	env     []string

	mu      sync.Mutex
	cancel  context.CancelCauseFunc // of the command, once it runs
	started bool
}

func (s *server) session(conn *ssh.ServerConn, offered ssh.NewChannel) {
	channel, requests, err := offered.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	ses := &session{m: s.m, channel: channel, env: []string{"SSH_CONNECTION=" + conn.RemoteAddr().String()}}
	var running sync.WaitGroup
	for r := range requests {
		answered := make(chan struct{})
		ok := ses.answer(r, &running, answered)
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
		close(answered)
	}
	running.Wait()
}

// answer is what a request of the session gets. A command that it starts waits until the answer is on its way: at the
// command's end the channel is closed, and nothing can follow.
func (ses *session) answer(r *ssh.Request, running *sync.WaitGroup, answered <-chan struct{}) bool {
	switch r.Type {
	case "env":
		var kv struct{ Name, Value string }
		if ssh.Unmarshal(r.Payload, &kv) != nil || kv.Name != "LANG" && (len(kv.Name) < 3 || kv.Name[:3] != "LC_") {
			return false // AcceptEnv LANG LC_*, as Debian sets it
		}
		ses.env = append(ses.env, kv.Name+"="+kv.Value)
		return true
	case "exec", "shell":
		var exec struct{ Command string }
		if r.Type == "exec" && ssh.Unmarshal(r.Payload, &exec) != nil {
			return false
		}
		if ses.started {
			return false
		}
		ses.started = true
		running.Add(1)
		return ses.m.during(func(boot context.Context) {
			defer running.Done()
			<-answered
			ses.run(boot, exec.Command)
		}) || undo(running)
	case "signal":
		var sig struct{ Name string }
		ses.mu.Lock()
		defer ses.mu.Unlock()
		if ssh.Unmarshal(r.Payload, &sig) != nil || ses.cancel == nil || signals[sig.Name] == 0 {
			return false
		}
		ses.cancel(killed{sig.Name})
		return true
	case "pty-req":
		return true
	}
	return false
}

// undo takes an expected command back: the machine is down.
func undo(running *sync.WaitGroup) bool {
	running.Done()
	return false
}

// run runs the command of the session in the login shell and says how it ended.
func (ses *session) run(boot context.Context, command string) {
	defer ses.channel.Close()
	ctx, cancel := context.WithCancelCause(boot)
	defer cancel(nil)
	ses.mu.Lock()
	ses.cancel = cancel
	ses.mu.Unlock()
	m, login := ses.m, ses.m.cfg.Login
	ctx, p := m.spawn(ctx, "sh", cmdline([]string{"-sh", "-c", command}), func(p *proc) { p.user = login })
	defer m.end(p)
	c := &call{
		ctx: ctx, m: m, p: p, args: []string{"sh"}, dir: home(login), in: ses.channel,
		env: expand.ListEnviron(append(ses.env, loginEnv(login)...)...),
		out: &sshWriter{w: ses.channel, broken: cancel}, err: &sshWriter{w: ses.channel.Stderr(), broken: cancel},
	}
	status := loginShell(c, command)
	if boot.Err() != nil {
		return // the machine is down: nobody is left to say so
	}
	if sig := killedBy(ctx); sig != "" {
		_, _ = ses.channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal  string
			Core    bool
			Message string
			Lang    string
		}{Signal: sig}))
		return
	}
	_, _ = ses.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
}

// loginShell runs the command of the session, or, without one, the commands that come over its input.
func loginShell(c *call, command string) int {
	in, done, err := c.stdin()
	if err != nil {
		return c.fail(255, "no more file descriptors: %v", err)
	}
	defer done()
	child := *c
	child.in = in
	if command == "" {
		return child.run([]string{"/bin/sh"})
	}
	return child.shell(command, "sh", nil, nil)
}

func home(user string) string {
	if user == "root" {
		return "/root"
	}
	return "/home/" + user
}

func loginEnv(user string) []string {
	search := "/usr/local/bin:/usr/bin:/bin:/usr/games"
	if user == "root" {
		search = defaultPath
	}
	id := uid(user)
	return []string{
		"HOME=" + home(user), "USER=" + user, "LOGNAME=" + user, "SHELL=/bin/sh", "PATH=" + search,
		"UID=" + id, "EUID=" + id, "GID=" + id, "TMPDIR=/tmp",
	}
}

func uid(user string) string {
	if user == "root" {
		return "0"
	}
	return "1000"
}

// An sshWriter ends the command when its output can no longer be delivered, as SIGPIPE does: a command that is silent
// goes on after the connection was lost, one that prints ends with its next line.
type sshWriter struct {
	w      io.Writer
	broken context.CancelCauseFunc
}

func (w *sshWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if err != nil {
		w.broken(killed{"PIPE"})
	}
	return n, err
}
