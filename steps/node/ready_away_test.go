package node_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/kube/kubetest"
	"upgrader.dev/upgrader/steps/node"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

// A host that boots, or the API server on it, cannot be asked for a while: that is waited for, as everything else.
func TestReadyWaitsForAHostThatBoots(t *testing.T) {
	for _, api := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := kubetest.New()
			n := w1(false, "")
			n.ReadySince, n.BootID = time.Now().Add(-time.Hour), "boot-0"
			s.SetNode(n)
			s.SetNodeLease("w1", time.Now())
			if api {
				s.Fail(func(int, *http.Request) kubetest.Fault { return kubetest.Refused })
			}
			booting := func(remote.Script) (remote.Result, error) {
				return remote.Result{}, engine.Transient(errors.New("w1: connection refused"))
			}
			kinds := node.Kinds(s.Client(t, run), remotetest.One("w1", &remotetest.Host{Answer: booting}))
			_, err := enginetest.Kind(t, kinds, "node.ready").New().Observe(t.Context(), scene(nil))
			if not, ok := errors.AsType[*engine.NotYetError](err); !ok {
				t.Errorf("API away %v: got %v, want to wait", api, err)
			} else {
				t.Log(not.Why)
			}
		})
	}
}
