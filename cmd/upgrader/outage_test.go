package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// A resume in the middle of the upgrade of a single control plane may find the API server answering and then gone: it
// waits for the lock as it waits for the cluster.
func TestTheLockIsWaitedForThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, began := kubetest.New(), time.Now()
		server.Fail(func(int, *http.Request) kubetest.Fault {
			if time.Since(began) < time.Minute {
				return kubetest.Refused
			}
			return kubetest.None
		})
		s := &session{
			console:  newConsole(strings.NewReader(""), io.Discard, io.Discard, map[string]string{}, nil),
			manifest: manifest{ID: "r"}, graph: &engine.Graph{Plan: "p"}, world: &world{client: server.Client(t, "r")},
		}
		_, release, err := s.takeLock(t.Context())
		if err != nil {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
		release(true)
		if took := time.Since(began); took > 90*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// mute is an API server that takes connections and does not answer, as one that waits for its etcd.
type mute struct{ first time.Duration }

func (m *mute) RoundTrip(r *http.Request) (*http.Response, error) {
	if wait := m.first; wait > 0 {
		m.first = 0
		time.Sleep(wait)
		return nil, io.ErrUnexpectedEOF
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A cluster that does not answer in time may do so at the next try.
func TestAClusterThatDoesNotAnswerIsAway(t *testing.T) {
	for _, first := range []time.Duration{0, time.Second, 6 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			client, err := kube.New("http://mute", &mute{first}, kube.Options{})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			err = (&world{client: client}).meet(t.Context())
			if took := time.Since(began); !away(err) || took > 20*time.Second {
				t.Errorf("after %s, the first answer after %s: %v; want an error that another try may mend", took, first, err)
			}
		})
	}
}
