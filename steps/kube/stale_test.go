package kube_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

var races = flag.Int("races", 100, "how often TestStaleControllers stops a controller and gives its lock to another")

// unit is a second of the lock's life in these tests.
const unit = 8 * time.Millisecond

// controllerAt is the variable by which this test's program is a controller of the server that it names; bareController
// makes it one without a client under the lock, which asks the lock before each write and no more.
const controllerAt, bareController = "UPGRADER_TEST_CONTROLLER", "UPGRADER_TEST_BARE"

func TestMain(m *testing.M) {
	if server := os.Getenv(controllerAt); server != "" {
		beController(server, os.Getenv(bareController) != "")
		return
	}
	os.Exit(m.Run())
}

// beController works on the cluster for each run that a line of standard input names, until it is fenced.
func beController(server string, bare bool) {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := control(server, in.Text(), bare); !errors.Is(err, engine.ErrFenced) {
			fmt.Println("failed:", err)
			return
		}
		fmt.Println("fenced")
	}
}

func control(server, run string, bare bool) error {
	ctx := context.Background()
	plain, err := kube.New(server, nil, kube.Options{RunID: run})
	if err != nil {
		return err
	}
	lock := kube.NewLock(plain, kube.Identity{Run: run, Person: "ann", Machine: "bastion"})
	lock.Hurry(unit)
	for err := lock.Acquire(ctx); err != nil; err = lock.Acquire(ctx) {
		time.Sleep(time.Millisecond)
	}
	defer lock.Keep(ctx)()
	fmt.Println("took")
	client, ask := plain, lock.Hold
	if !bare {
		ask = func(context.Context) error { return nil }
		if client, err = plain.Under(lock); err != nil {
			return err
		}
	}
	for i := 0; ; i++ {
		if err := errors.Join(ask(ctx), work(ctx, client, run, i)); errors.Is(err, engine.ErrFenced) {
			return err
		}
	}
}

// work makes the writes of a drain and of its end.
func work(ctx context.Context, c *kube.Client, run string, i int) error {
	node := fmt.Sprintf("w%d", i%3)
	pods, err := c.Pods(ctx, kube.PodFilter{Node: node})
	if err == nil {
		err = c.Cordon(ctx, node, run+"/drain")
	}
	for _, p := range pods {
		if err == nil {
			err = c.Evict(ctx, p)
		}
	}
	if err == nil {
		err = c.Uncordon(ctx, node, run+"/drain")
	}
	return err
}

// A registrar serves a cluster and counts what it took from a controller that had lost its lock: a write while another
// run had it, or nobody.
type registrar struct {
	cluster   *kubetest.Server
	admission time.Duration // how long a webhook may hold a write up

	mu           sync.Mutex // one request at a time, so that who has the lock is known for each
	holder       string
	taken, stale int
}

func (r *registrar) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body) // a controller may have been stopped in the middle of it
	if err != nil {
		return
	}
	if !r.admits(req) {
		http.Error(w, "request did not complete within requested timeout", http.StatusGatewayTimeout)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	r.cluster.ServeHTTP(answer, req)
	if req.Method != http.MethodGet && answer.Code < 300 {
		r.register(req, body)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// admits holds a write up as a webhook does, and says whether it is carried out: not when its client has hung up meanwhile, or
// when the time is over that it names. One whose client was stopped goes on.
func (r *registrar) admits(req *http.Request) bool {
	if r.admission == 0 || req.Method == http.MethodGet || strings.Contains(req.URL.Path, "/leases") {
		return true
	}
	limit, err := time.ParseDuration(req.URL.Query().Get("timeout"))
	if err != nil {
		limit = time.Hour
	}
	takes := rand.N(r.admission)
	select {
	case <-time.After(min(takes, limit)):
		return takes < limit
	case <-req.Context().Done():
		return false
	}
}

func (r *registrar) register(req *http.Request, body []byte) {
	if strings.Contains(req.URL.Path, "/leases") {
		var lease struct {
			Metadata struct{ Annotations map[string]string }
			Spec     struct{ HolderIdentity string }
		}
		if json.Unmarshal(body, &lease) == nil {
			if r.holder = lease.Spec.HolderIdentity; strings.HasPrefix(r.holder, "unlock@") { // it has some time left to believe in it
				r.holder = lease.Metadata.Annotations["upgrader.dev/unlocks"]
			}
		}
		return
	}
	r.taken++
	_, run, _ := strings.Cut(req.UserAgent(), " run/")
	if !strings.HasPrefix(r.holder, run+"@") {
		r.stale++
	}
}

// A contestant is a process that is a controller.
type contestant struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer
	lines chan string
}

func newContestant(t *testing.T, server string, bare bool) *contestant {
	t.Helper()
	c := &contestant{t: t, cmd: exec.Command(os.Args[0]), lines: make(chan string, 16)}
	c.cmd.Env = append(os.Environ(), controllerAt+"="+server)
	if bare {
		c.cmd.Env = append(c.cmd.Env, bareController+"=1")
	}
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.in = in
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.lines <- lines.Text()
		}
		close(c.lines)
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	})
	return c
}

// begin has it work for a run, as soon as it gets the lock.
func (c *contestant) begin(run string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, run); err != nil {
		c.t.Fatal(err)
	}
	c.says("took")
}

func (c *contestant) says(want string) {
	c.t.Helper()
	select {
	case got := <-c.lines:
		if got != want {
			c.t.Fatalf("it says %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		c.t.Fatalf("it does not say %q", want)
	}
}

func (c *contestant) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// compete stops the controller that has the lock at a random moment, takes the lock away, has another one take it, and
// lets the first go on, so often; it returns how many writes the cluster took, and how many of them from a controller
// without the lock. Admission takes up to so long.
func compete(t *testing.T, races int, bare bool, admission time.Duration) (taken, stale int) {
	t.Helper()
	r := &registrar{cluster: kubetest.New(), admission: admission}
	for _, node := range []string{"w0", "w1", "w2"} {
		r.cluster.SetNode(kube.Node{Name: node, Ready: true})
		r.cluster.SetPod(kube.Pod{Namespace: "shop", Name: "on-" + node, Node: node})
	}
	evicted := 0
	r.cluster.OnEvict(func(p kube.Pod) { // its controller makes another one, which is placed there again
		evicted++
		p.UID = fmt.Sprint("again-", evicted)
		r.cluster.SetPod(p)
	})
	web := httptest.NewServer(r)
	t.Cleanup(web.Close)
	at, next := newContestant(t, web.URL, bare), newContestant(t, web.URL, bare)
	at.begin("run-0")
	for i := 1; i <= races; i++ {
		time.Sleep(rand.N(4 * unit))
		at.signal(syscall.SIGSTOP)
		if rand.N(4) == 0 { // it may wake up while the lock is being taken away
			stopped := at.cmd.Process
			wakes := time.AfterFunc(rand.N(25*unit), func() { _ = stopped.Signal(syscall.SIGCONT) })
			defer wakes.Stop()
		}
		takeAway(t, web.URL, bare)
		next.begin(fmt.Sprint("run-", i))
		time.Sleep(rand.N(unit))
		at.signal(syscall.SIGCONT)
		at.says("fenced")
		at, next = next, at
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken, r.stale
}

// takeAway is a person's unlock. That of a bare controller does not wait.
func takeAway(t *testing.T, server string, bare bool) {
	t.Helper()
	client, err := kube.New(server, nil, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lock := kube.NewLock(client, kube.Identity{Person: "bob", Machine: "laptop"})
	lock.Hurry(unit)
	if bare {
		lock.Hurry(1)
	}
	holder, held, err := lock.Holder(t.Context())
	if err == nil && held {
		err = lock.Unlock(t.Context(), holder, false, func(time.Duration) {})
	}
	if err != nil || !held {
		t.Fatalf("held %v: %v", held, err)
	}
}

// A controller that was stopped, whose lock was taken away and which goes on later writes nothing: see -races.
func TestStaleControllers(t *testing.T) { competeEverywhere(t, 0) }

// Nor does it where admission is so slow that most of its writes are under way when it is stopped: they are over before
// anybody else has the lock, and the lock is renewed while they are.
func TestStaleControllersBehindSlowAdmission(t *testing.T) { competeEverywhere(t, 50*unit) }

func competeEverywhere(t *testing.T, admission time.Duration) {
	t.Helper()
	const clusters = 4 // at once
	var mu sync.Mutex
	done, writes, stale := 0, 0, 0
	t.Run("clusters", func(t *testing.T) {
		for i := range clusters {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				taken, wrong := compete(t, *races/clusters, false, admission)
				mu.Lock()
				defer mu.Unlock()
				done, writes, stale = done+*races/clusters, writes+taken, stale+wrong
			})
		}
	})
	if stale > 0 {
		t.Errorf("%d writes were accepted from controllers that had lost their lock", stale)
	}
	t.Logf("figure: %d races: %d writes accepted, %d of them from a stale controller", done, writes, stale)
}

// The same races find out a controller that only asks its lock before it writes, and an unlock that does not wait.
func TestRacesFindAStaleController(t *testing.T) {
	for range 20 {
		if taken, stale := compete(t, 10, true, 0); stale > 0 {
			t.Logf("figure: 10 races of a controller that only asks its lock: %d writes accepted, %d of them stale", taken, stale)
			return
		}
	}
	t.Error("no race let a stale controller write")
}
