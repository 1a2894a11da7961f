package machine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeWorld is a control plane of the given hosts whose pods restart at once.
type fakeWorld struct {
	mu       sync.Mutex
	version  string
	hosts    []string
	pods     map[string]string // host/component: image
	kubelets map[string]string
	boots    map[string]string
	stuck    string // a component that never becomes ready again
	apiDown  bool
}

func newWorld(version string, hosts ...string) *fakeWorld {
	w := &fakeWorld{version: version, hosts: hosts, pods: map[string]string{}, kubelets: map[string]string{}, boots: map[string]string{}}
	for _, h := range hosts {
		for _, c := range components {
			w.pods[h+"/"+c] = Image(c, version)
		}
	}
	return w
}

func (w *fakeWorld) ClusterVersion() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.version
}

func (w *fakeWorld) SetClusterVersion(v string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version = v
}

func (w *fakeWorld) ControlPlanes() []string { return w.hosts }

func (w *fakeWorld) KubeletVersions() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.kubelets)
}

func (w *fakeWorld) StaticPod(host, component string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pods[host+"/"+component], component != w.stuck
}

func (w *fakeWorld) RunStaticPod(host, component, image string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pods[host+"/"+component] = image
}

func (w *fakeWorld) KubeletStarted(host, version, bootID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kubelets[host], w.boots[host] = version, bootID
}

func (w *fakeWorld) KubeletStopped(host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.kubelets, host)
}

func (w *fakeWorld) EtcdMembers() []EtcdMember {
	var all []EtcdMember
	for i, h := range w.hosts {
		all = append(all, EtcdMember{
			Name: h, ID: uint64(i + 1), PeerURL: "https://10.0.0.1:2380", ClientURL: "https://10.0.0." + string(rune('1'+i)) + ":2379", Version: "3.5.12",
			Healthy: true, Leader: i == 0, DBSize: 1 << 20, Revision: 4711,
		})
	}
	return all
}

func (w *fakeWorld) APIReady(string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.apiDown
}

func (w *fakeWorld) Metrics(string) string { return "process_start_time_seconds 1.79531698221e+09\n" }

// effects records what changed.
type effects struct {
	mu  sync.Mutex
	all []Effect
}

func (e *effects) Record(x Effect) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, x)
}

func (e *effects) list() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var l []string
	for _, x := range e.all {
		l = append(l, x.What+": "+x.Detail)
	}
	return l
}

func (e *effects) with(part string) bool {
	return slices.ContainsFunc(e.list(), func(s string) bool { return strings.Contains(s, part) })
}

// A rig is a machine under test and everything around it.
type rig struct {
	*Machine
	t       testing.TB
	world   *fakeWorld
	effects *effects
	key     ssh.Signer
}

func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, effects: &effects{}, key: key, world: newWorld("1.27.16", "cp1")}
	cfg := Config{Name: "cp1", ControlPlane: true, Version: "1.27.16", AuthorizedKey: key.PublicKey(), World: r.world, Recorder: r.effects, Speed: 20}
	if change != nil {
		change(&cfg)
	}
	r.Machine, err = Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// dial logs in, trying again while the machine is away.
func (r *rig) dial() *ssh.Client {
	r.t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		var c *ssh.Client
		c, err = ssh.Dial("tcp", r.Addr().String(), &ssh.ClientConfig{
			User: r.cfg.Login, Auth: []ssh.AuthMethod{ssh.PublicKeys(r.key)}, HostKeyCallback: ssh.FixedHostKey(r.HostKey()), Timeout: 10 * time.Second,
		})
		if err == nil {
			r.t.Cleanup(func() { c.Close() })
			return c
		}
		time.Sleep(5 * time.Millisecond) // another try, not a synchronisation
	}
	r.t.Fatalf("no connection to %s: %v", r.Name(), err)
	return nil
}

// An answer is how a command ended.
type answer struct {
	out, err string
	code     int
	failure  error
}

// on runs a command over a connection, with some input.
func on(c *ssh.Client, command, input string) answer {
	s, err := c.NewSession()
	if err != nil {
		return answer{failure: err}
	}
	defer s.Close()
	var out, errOut bytes.Buffer
	s.Stdin, s.Stdout, s.Stderr = strings.NewReader(input), &out, &errOut
	err = s.Run(command)
	a := answer{out: out.String(), err: errOut.String()}
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		a.code = exit.ExitStatus()
		if exit.Signal() != "" {
			a.failure = err
		}
	} else {
		a.failure = err
	}
	return a
}

// sh runs a script as `ssh host /bin/sh` does.
func (r *rig) sh(script string) answer {
	r.t.Helper()
	c := r.dial()
	defer c.Close()
	a := on(c, "/bin/sh", script)
	if a.failure != nil {
		r.t.Fatalf("running %q: %v\n%s", script, a.failure, a.err)
	}
	return a
}
