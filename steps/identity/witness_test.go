package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
	"upgrader.dev/upgrader/steps/remote"
)

var _ Register = (*engine.Machines)(nil)

// A book is a register in memory.
type book struct {
	mu    sync.Mutex
	bound map[string]string
	fails error
}

func (b *book) Machine(host string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bound[host]
}

func (b *book) Bind(_ context.Context, host, machine string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails == nil {
		b.bound[host] = machine
	}
	return b.fails
}

func newBook() *book { return &book{bound: map[string]string{}} }

// wants looks for an error of a stranger with these words; none: the machine is recognised.
func wants(t *testing.T, err error, words ...string) {
	t.Helper()
	stranger, ok := errors.AsType[*remote.StrangerError](err)
	if len(words) == 0 {
		if err != nil {
			t.Errorf("not recognised: %v", err)
		}
		return
	}
	if !ok {
		t.Errorf("recognised (%v), want %q", err, words)
		return
	}
	for _, w := range words {
		if !strings.Contains(stranger.Error(), w) {
			t.Errorf("%q is not in %q", w, stranger)
		}
	}
}

// away has the API refuse every connection.
func away(api *kubetest.Server) {
	api.Fail(func(int, *http.Request) kubetest.Fault { return kubetest.Refused })
}

func TestWhatTheAPIToldIsEnoughWhereItMakesCertain(t *testing.T) {
	api, b := kubetest.New(), newBook()
	w := NewWitness(Sources{Cluster: api.Client(t, "r"), Nodes: []kube.Node{nodeOf("w1", "m1", "b1", "10.0.0.1")}, Register: b, Inventory: "prod.yaml"})
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m1", "b1")))
	if got := api.Requests(); len(got) > 0 {
		t.Errorf("it asked %v", got)
	}
	if b.Machine("w1") != "m1" {
		t.Errorf("w1 is bound to %q", b.Machine("w1"))
	}
}

// A host that was rebooted, or joined again, is known as soon as its kubelet has reported; a stranger stays one.
func TestTheAPIIsAskedAnew(t *testing.T) {
	api, b := kubetest.New(), newBook()
	told := nodeOf("w1", "m1", "b1", "10.0.0.1")
	api.SetNode(told)
	w := NewWitness(Sources{Cluster: api.Client(t, "r"), Nodes: []kube.Node{told}, Register: b, Inventory: "prod.yaml"})
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m1", "b1")))
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m9", "b9", "10.0.0.1")), "host w1 (192.0.2.1:22) is not the machine of node w1", "nothing was done", "correct the address of w1 in prod.yaml", "join the cluster again")
	var transient *engine.TransientError
	var refused *engine.RefusedError
	if err := w.Recognise(t.Context(), "w1", seenAs("m9", "b9", "10.0.0.1")); !errors.As(err, &transient) || errors.As(err, &refused) {
		t.Errorf("%v is final, though its kubelet may report any moment", err)
	}
	if err := w.Recognise(t.Context(), "w1", seenAs("m9", "b9", "10.0.0.2")); errors.As(err, &transient) || !errors.As(err, &refused) {
		t.Errorf("%v is not final, though nothing of it fits", err)
	}
	api.SetNode(nodeOf("w1", "m9", "b9", "10.0.0.1"))
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m9", "b9", "10.0.0.1")))
	if b.Machine("w1") != "m9" {
		t.Errorf("the API's word does not count: w1 is bound to %q", b.Machine("w1"))
	}
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m1", "b1", "10.0.0.1")), "is not the machine of node w1")
}

// While the API is away, what it told last is good, and a rebooted host is still told from another.
func TestTheAPIIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := kubetest.New()
		away(api)
		w := NewWitness(Sources{Cluster: api.Client(t, "r"), Nodes: []kube.Node{nodeOf("w1", "m1", "b1", "10.0.0.1"), nodeOf("w2", "m2", "b2", "10.0.0.2")}, Inventory: "prod.yaml"})
		wants(t, w.Recognise(t.Context(), "w1", seenAs("m1", "b9", "10.0.0.1")))
		asked := len(api.Requests())
		wants(t, w.Recognise(t.Context(), "w1", seenAs("m2", "b9", "10.0.0.2")), "is the machine of node w2")
		if again := len(api.Requests()); again != asked || asked == 0 {
			t.Errorf("asked %d times, then %d", asked, again)
		}
	})
}

// Without an API, as the doctor may be, a host is the machine that it was seen as first, and no two are one.
func TestNothingIsKnownOfNodes(t *testing.T) {
	w := NewWitness(Sources{Inventory: "prod.yaml"})
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m1", "b1")))
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m1", "b2")))
	wants(t, w.Recognise(t.Context(), "w2", seenAs("m1", "b1")), "host w2 (192.0.2.1:22) is the same machine as host w1", "correct the address of w2 or of w1 in prod.yaml")
	wants(t, w.Recognise(t.Context(), "w3", seenAs("m1", "b3"))) // a clone
	wants(t, w.Recognise(t.Context(), "w4", seenAs("", "b1")))

	// Without machine IDs, the addresses tell containers of one kernel apart.
	wants(t, w.Recognise(t.Context(), "c1", seenAs("", "b", "10.0.0.1", "172.17.0.1")))
	wants(t, w.Recognise(t.Context(), "c2", seenAs("", "b", "10.0.0.2", "172.17.0.1")))
	wants(t, w.Recognise(t.Context(), "c1", seenAs("", "b", "172.17.0.1", "10.0.0.1")))
	wants(t, w.Recognise(t.Context(), "c3", seenAs("", "b", "172.17.0.1", "10.0.0.1")), "host c3 (192.0.2.1:22) is the same machine as host c1: machine ID none, boot ID b")
}

// A host that the API does not tell of stays the machine that the run knows, until the API tells.
func TestAHostWithoutANode(t *testing.T) {
	api, b := kubetest.New(), newBook()
	api.SetNode(nodeOf("w2", "m2", "b2", "10.0.0.2"))
	w := NewWitness(Sources{Cluster: api.Client(t, "r"), Register: b, Inventory: "prod.yaml"})
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m2", "b2", "10.0.0.2")), "host w1 (192.0.2.1:22) is the machine of node w2", "kubectl delete node w2")
	wants(t, w.Recognise(t.Context(), "w1", seenAs("m1", "b1", "10.0.0.1")))

	later := NewWitness(Sources{Cluster: api.Client(t, "r"), Register: b, Inventory: "prod.yaml"}) // of a resume
	wants(t, later.Recognise(t.Context(), "w1", seenAs("m9", "b9", "10.0.0.1")), "host w1 (192.0.2.1:22) is another machine than this run knows as w1", "it knows machine ID m1", "have it join the cluster first")
	wants(t, later.Recognise(t.Context(), "w1", seenAs("m1", "b5", "10.0.0.1")))
	api.SetNode(nodeOf("w1", "m9", "b9", "10.0.0.1"))
	wants(t, later.Recognise(t.Context(), "w1", seenAs("m9", "b9", "10.0.0.1")))
	if b.Machine("w1") != "m9" {
		t.Errorf("w1 is bound to %q", b.Machine("w1"))
	}
}

// What cannot be made durable is not believed.
func TestABindingThatFails(t *testing.T) {
	b := newBook()
	b.fails = errors.New("no room")
	w := NewWitness(Sources{Register: b, Nodes: []kube.Node{nodeOf("w1", "m1", "b1", "10.0.0.1")}})
	err := w.Recognise(t.Context(), "w1", seenAs("m1", "b1"))
	if !errors.Is(err, b.fails) {
		t.Errorf("%v", err)
	}
}

// Five hundred hosts that come at once have the nodes listed once.
func TestManyHostsComeAtOnce(t *testing.T) {
	api := kubetest.New()
	w := NewWitness(Sources{Cluster: api.Client(t, "r")})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { wants(t, w.Recognise(t.Context(), "w1", seenAs("m1", "b1"))) })
	}
	all.Wait()
	lists := 0
	for _, r := range api.Requests() {
		if strings.HasSuffix(r, "/nodes") {
			lists++
		}
	}
	if lists != 1 {
		t.Errorf("the nodes were listed %d times", lists)
	}
}
