package kube_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// admissionCluster is a node w1, cordoned by this run or not, with one pod.
func admissionCluster(t *testing.T, cordoned state) (*kubetest.Server, *kube.Client, kube.Pod) {
	t.Helper()
	s := kubetest.New()
	cordoned.set(s)
	pod := kube.Pod{Namespace: "shop", Name: "cart-0", UID: "p1", Node: "w1"}
	s.SetPod(pod)
	return s, under(t, s, acquired(t, s, ann("r1"))), pod
}

// Admission may take its time: a write outlasts every webhook that the API server waits for, and is not in doubt.
func TestWritesOutlastAdmission(t *testing.T) {
	for _, takes := range []time.Duration{11 * time.Second, 28 * time.Second, 33 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s, c, pod := admissionCluster(t, state{})
			s.Admit(func(*http.Request) kubetest.Admission { return kubetest.Admission{Takes: takes} })
			began := time.Now()
			if err := errors.Join(c.Cordon(t.Context(), "w1", "r1/drain"), c.Evict(t.Context(), pod), c.Uncordon(t.Context(), "w1", "r1/drain")); err != nil {
				t.Errorf("admission of %s: %v", takes, err)
			}
			if took := time.Since(began); took != 3*takes || patches(s) != 3 {
				t.Errorf("%d writes in %s, want 3 in %s", patches(s), took, 3*takes)
			}
		})
	}
}

// A write that nobody answers says which one it is and what may be slow, and is in doubt; a read gives up sooner, and does not.
func TestASlowRequestIsNamed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		silent bool // nobody answers, not even the server itself
		took   time.Duration
		says   string
	}{
		{"a server that gives it up", false, 34 * time.Second,
			"outcome unknown: evicting pod shop/cart-0: Timeout: request did not complete within requested timeout - context deadline exceeded: an admission webhook may be slow"},
		{"a server that says nothing", true, 40 * time.Second,
			"outcome unknown: evicting pod shop/cart-0: no answer within 40s: an admission webhook may be slow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, pod := admissionCluster(t, state{})
				s.Admit(func(*http.Request) kubetest.Admission { return kubetest.Admission{Takes: time.Hour} })
				if tt.silent {
					c = mute(t, s)
				}
				began := time.Now()
				err := c.Evict(t.Context(), pod)
				if took := time.Since(began); err == nil || err.Error() != tt.says || took != tt.took {
					t.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, err := kube.New("http://mute", silence{}, kube.Options{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = c.Node(t.Context(), "w1")
		if took := time.Since(began); err == nil || err.Error() != "reading node w1: no answer within 10s" || took != 10*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// silence answers nothing, as net/http has it over HTTP/2; or reads and the lock only.
type silence struct{ others http.RoundTripper }

func (s silence) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.others != nil && (r.Method == http.MethodGet || strings.Contains(r.URL.Path, "/leases")) {
		return s.others.RoundTrip(r)
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// mute is a client, under a lock, of a server that answers no write.
func mute(t *testing.T, s *kubetest.Server) *kube.Client {
	t.Helper()
	plain, err := kube.New("http://kubetest", silence{s}, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lock := kube.NewLock(plain, ann("r1"))
	take(t, lock)
	t.Cleanup(lock.Keep(t.Context()))
	c, err := plain.Under(lock)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
