package packages

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/remote"
)

// A realHost runs the scripts of this family with the real sh, apt and dpkg of this machine, on a throw-away root: paths
// of the scripts are moved into it, and apt and dpkg are told by their own settings.
type realHost struct {
	t    *testing.T
	root string
	env  []string
	out  bytes.Buffer // of jobs
}

func newRealHost(t *testing.T) *realHost {
	t.Helper()
	for _, tool := range []string{"sh", "apt-get", "dpkg", "dpkg-deb", "dpkg-scanpackages", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on this machine", tool)
		}
	}
	h := &realHost{t: t, root: t.TempDir()}
	for _, d := range []string{"var/lib/dpkg/updates", "var/lib/dpkg/info", "etc/apt/sources.list.d", "etc/apt/preferences.d",
		"etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt", "bin"} {
		h.must(os.MkdirAll(h.path(d), 0o755))
	}
	h.write("var/lib/dpkg/status", "")
	options := `"--root=` + h.root + `"; "--force-not-root"; "--force-script-chrootless"; "--log=` + h.root + `/dpkg.log";`
	h.write("apt.conf", `Dir "`+h.root+`"; Dir::State::status "`+h.root+`/var/lib/dpkg/status"; DPkg::Options { `+options+` };
Dir::Bin::dpkg "/usr/bin/dpkg"; APT::Sandbox::User ""; Acquire::Languages "none";`)
	h.write("bin/dpkg", "#!/bin/sh\nexec /usr/bin/dpkg --root="+h.root+" --force-not-root --force-script-chrootless --log="+h.root+"/dpkg.log \"$@\"\n")
	h.must(os.Chmod(h.path("bin/dpkg"), 0o755))
	h.env = []string{"PATH=" + h.root + "/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", "TMPDIR=" + t.TempDir(),
		"APT_CONFIG=" + h.root + "/apt.conf", "DPKG_ADMINDIR=" + h.root + "/var/lib/dpkg"}
	return h
}

func (h *realHost) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *realHost) path(p string) string { return filepath.Join(h.root, p) }

func (h *realHost) write(p, text string) { h.must(os.WriteFile(h.path(p), []byte(text), 0o644)) }

func (h *realHost) read(p string) string {
	h.t.Helper()
	b, err := os.ReadFile(h.path(p))
	h.must(err)
	return string(b)
}

// serve puts packages into the repository of a minor version: name=revision, with a maintainer script if there is one.
func (h *realHost) serve(minor string, scripts map[string]string, packages ...string) {
	h.t.Helper()
	repo := h.path("repo/core:/stable:/v" + minor + "/deb")
	h.must(os.MkdirAll(repo, 0o755))
	for _, p := range packages {
		name, rev, _ := strings.Cut(p, "=")
		d := h.t.TempDir()
		h.must(os.Chmod(d, 0o755))
		h.must(os.MkdirAll(filepath.Join(d, "DEBIAN"), 0o755))
		h.must(os.MkdirAll(filepath.Join(d, "usr/share", name), 0o755))
		h.must(os.WriteFile(filepath.Join(d, "usr/share", name, "revision"), []byte(rev), 0o600))
		h.must(os.WriteFile(filepath.Join(d, "DEBIAN/control"), []byte("Package: "+name+"\nVersion: "+rev+
			"\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a test\n"), 0o600))
		for script, text := range scripts {
			h.must(os.WriteFile(filepath.Join(d, "DEBIAN", script), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
		}
		h.sh("dpkg-deb --root-owner-group -b " + d + " '" + repo + "/" + name + "_" + rev + ".deb'")
	}
	h.sh("cd '" + repo + "' && dpkg-scanpackages -m . >Packages 2>/dev/null")
}

// source makes the source of the host name this minor, and apt know it: by copy, since apt reads lists at file: in place.
func (h *realHost) source(minor string) {
	h.t.Helper()
	h.write("etc/apt/sources.list.d/kubernetes.list", "# by hand\ndeb [trusted=yes] copy:"+h.path("repo")+"/core:/stable:/v"+minor+"/deb/ /\n")
	h.sh("apt-get update")
}

// installed is dpkg's own answer: "hi 1.28.15-1.1".
func (h *realHost) installed(name string) string {
	h.t.Helper()
	return strings.TrimSpace(h.sh("dpkg-query -W -f '${db:Status-Abbrev}${Version}' " + name))
}

func (h *realHost) sh(text string) string {
	h.t.Helper()
	out, err := h.run(h.t.Context(), remote.Script{Text: text}, io.Discard)
	if err != nil {
		h.t.Fatalf("%s: %v", text, err)
	}
	return out
}

func (h *realHost) run(ctx context.Context, s remote.Script, both io.Writer) (string, error) {
	text := s.Text
	for _, p := range []string{"/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/var/lib/upgrader", "/etc/apt"} {
		text = strings.ReplaceAll(strings.ReplaceAll(text, h.root+p, p), p, h.root+p)
	}
	cmd := exec.CommandContext(ctx, "sh", "-s")
	cmd.Stdin = strings.NewReader("set -eu\numask 077\n{\n" + text + "\n}\n")
	cmd.Env = h.env
	for k, v := range s.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var out, tail bytes.Buffer
	shared := &locked{w: both}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, shared), io.MultiWriter(&tail, shared)
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = &remote.ExitError{Host: "w1", Code: exit.ExitCode(), Tail: tail.String()}
	}
	return out.String(), err
}

// locked lets both outputs of a program into one writer.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (h *realHost) Name() string { return "w1" }

func (h *realHost) Host(string) (remote.Host, error) { return h, nil }

func (h *realHost) Query(ctx context.Context, s remote.Script) (remote.Result, error) {
	out, err := h.run(ctx, s, io.Discard)
	return remote.Result{Stdout: out}, err
}

func (h *realHost) Run(context.Context, engine.Ticket, remote.Script) (remote.Result, error) {
	return remote.Result{}, errors.New("not used by this family")
}

func (h *realHost) Do(ctx context.Context, _ engine.Ticket, j remote.Job) error {
	_, err := h.run(ctx, j.Script, &h.out)
	return err
}

// apply observes and does until nothing is left, as the engine would, and returns what it did.
func apply(t *testing.T, h *realHost, s engine.Step) []string {
	t.Helper()
	var done []string
	for range 5 {
		changes, err := s.Observe(t.Context(), scene(nil))
		if err != nil {
			t.Fatalf("after %v: %v\n%s", done, err, h.out.String())
		}
		if len(changes) == 0 {
			return done
		}
		for _, c := range changes {
			done = append(done, c.Say)
			if err := c.Do(t.Context(), engine.Ticket{ID: "t"}); err != nil {
				t.Fatalf("%s: %v\n%s", c.Say, err, h.out.String())
			}
		}
	}
	t.Fatalf("did not converge: %v\n%s", done, h.out.String())
	return nil
}

func scene(expect engine.Facts) engine.Scene {
	return engine.Scene{Target: engine.Target{Name: "w1"}, Expect: expect}
}
