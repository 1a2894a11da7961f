package node_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
	"upgrader.dev/upgrader/steps/node"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

// A node at whose host's address another machine answers is left in service, cordoned before or not; one whose host is dead is not.
func TestTheHostIsMetBeforeItsNodeIsEmptied(t *testing.T) {
	stranger := &remote.StrangerError{Why: "host w1 is the machine of node w2", Remedy: "correct its address"}
	dead := engine.Transient(errors.New("w1: connecting: no route to host"))
	for _, c := range []struct {
		kind     string
		cordoned bool
		says     error
		want     string
	}{
		{"node.cordon", false, stranger, ""},
		{"node.drain", false, stranger, ""},
		{"node.drain", true, stranger, ""},
		{"node.cordon", false, dead, "cordon"},
		{"node.drain", false, dead, "cordon"},
		{"node.drain", true, dead, "evict its pods shop/a"},
	} {
		s := kubetest.New()
		s.SetNode(kube.Node{Name: "w1", Ready: true, Unschedulable: c.cordoned})
		s.SetPod(pod("a", "ReplicaSet"))
		hosts := remotetest.One("w1", &remotetest.Host{Answer: func(remote.Script) (remote.Result, error) { return remote.Result{}, c.says }})
		changes, err := enginetest.Made(t, enginetest.Kind(t, node.Kinds(s.Client(t, run), hosts), c.kind), "").Observe(t.Context(), scene(nil))
		if got := says(changes); got != c.want || (c.want == "") != errors.Is(err, stranger) {
			t.Errorf("%s, cordoned %v, %v: %q, %v", c.kind, c.cordoned, c.says, got, err)
		}
	}
}

// A slow host answers after a while, if anybody still listens.
type slow struct {
	*remotetest.Host
	after time.Duration
	says  error
}

func (h slow) Query(ctx context.Context, _ remote.Script) (remote.Result, error) {
	select {
	case <-time.After(h.after):
		return remote.Result{}, h.says
	case <-ctx.Done():
		return remote.Result{}, engine.Transient(ctx.Err())
	}
}

// slowly has one host, which is slow.
type slowly struct{ host slow }

func (h slowly) Host(string) (remote.Host, error) { return h.host, nil }

// Where a name server is away, a login takes ten or twenty seconds: that host is alive, and has to be met.
func TestASlowHostIsMetToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.SetNode(kube.Node{Name: "w1", Ready: true})
		stranger := &remote.StrangerError{Why: "host w1 is the machine of node w2", Remedy: "correct its address"}
		kinds := node.Kinds(s.Client(t, run), slowly{slow{after: 20 * time.Second, says: stranger}})
		if changes, err := enginetest.Kind(t, kinds, "node.cordon").New().Observe(t.Context(), scene(nil)); len(changes) > 0 || !errors.Is(err, stranger) {
			t.Errorf("%v, %v", says(changes), err)
		}
	})
}
