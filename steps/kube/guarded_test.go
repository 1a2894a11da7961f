package kube_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// under is a client of the server under a lock.
func under(t *testing.T, s *kubetest.Server, l *kube.Lock) *kube.Client {
	t.Helper()
	c, err := s.Client(t, "r1").Under(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// patches are the writes that are not about the lock itself.
func patches(s *kubetest.Server) int {
	return len(slices.DeleteFunc(s.Writes(), func(w string) bool { return strings.Contains(w, "/leases") }))
}

// renewalsFail lets no write to the Lease through.
func renewalsFail(_ int, r *http.Request) kubetest.Fault {
	if r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/leases/") {
		return kubetest.Refused
	}
	return kubetest.None
}

// A write is sent only under a lock that outlasts it: proved a moment ago, or renewed for it.
func TestWritesRestOnTheLock(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(*testing.T, *kubetest.Server, *kube.Lock)
		sent   bool
		fenced bool
	}{
		{"never taken", func(_ *testing.T, s *kubetest.Server, l *kube.Lock) {}, false, true},
		{"just taken", func(t *testing.T, s *kubetest.Server, l *kube.Lock) { take(t, l) }, true, false},
		{"taken long ago: renewed first", func(t *testing.T, s *kubetest.Server, l *kube.Lock) {
			take(t, l)
			time.Sleep(time.Hour)
		}, true, false},
		{"renewals fail, and a write may outlast it", func(t *testing.T, s *kubetest.Server, l *kube.Lock) {
			take(t, l)
			s.Fail(renewalsFail)
			time.Sleep(10 * time.Second)
		}, false, false},
		{"renewals fail, and it outlasts a write", func(t *testing.T, s *kubetest.Server, l *kube.Lock) {
			take(t, l)
			s.Fail(renewalsFail)
			time.Sleep(9 * time.Second)
		}, true, false},
		{"released", func(t *testing.T, s *kubetest.Server, l *kube.Lock) {
			take(t, l)
			if err := l.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		{"let go of", func(t *testing.T, s *kubetest.Server, l *kube.Lock) {
			take(t, l)
			l.Leave()
		}, false, true},
		{"taken away", func(t *testing.T, s *kubetest.Server, l *kube.Lock) {
			take(t, l)
			unlock(t, s)
		}, false, true},
		{"taken away, taken and given back by another run", func(t *testing.T, s *kubetest.Server, l *kube.Lock) {
			take(t, l)
			unlock(t, s)
			if err := acquired(t, s, ann("r2")).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := kubetest.New()
				state{}.set(s)
				l := kube.NewLock(s.Client(t, "r1"), ann("r1"))
				tt.before(t, s, l)
				err := under(t, s, l).Cordon(t.Context(), "w1", "r1/drain")
				if sent := patches(s) > 0; sent != tt.sent || sent != (err == nil) {
					t.Errorf("sent %v: %v", sent, err)
				}
				var transient *engine.TransientError
				if errors.Is(err, engine.ErrFenced) != tt.fenced || !tt.sent && !tt.fenced && !errors.As(err, &transient) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func take(t *testing.T, l *kube.Lock) {
	t.Helper()
	if err := l.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// An answer that comes when the lock has run out says nothing: what became of the write is looked at, and a node that
// the next upgrader has written on is left alone.
func TestALateAnswerIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		state{}.set(s)
		l := acquired(t, s, ann("r1"))
		late := false
		s.Fail(func(_ int, r *http.Request) kubetest.Fault {
			if r.Method == http.MethodPatch && !late {
				late = true
				unlock(t, s)
				next := acquired(t, s, ann("r2"))
				if err := errors.Join(under(t, s, next).Cordon(t.Context(), "w1", "r2/drain"), under(t, s, next).Uncordon(t.Context(), "w1", "r2/drain")); err != nil {
					t.Error(err)
				}
			}
			return kubetest.None
		})
		if err := under(t, s, l).Cordon(t.Context(), "w1", "r1/drain"); !errors.Is(err, engine.ErrFenced) {
			t.Errorf("got %v", err)
		}
		if got := look(t, s); got != (state{}) {
			t.Errorf("the node is %+v", got)
		}
	})
}

// A node says under which epoch it was last written, also when its cordon is gone, and refuses whoever comes with a
// smaller one: a lock that was deleted and made anew fences nobody.
func TestNodesCarryTheEpoch(t *testing.T) {
	s := kubetest.New()
	state{}.set(s)
	first := acquired(t, s, ann("r1"))
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := acquired(t, s, ann("r2"))
	c := under(t, s, second)
	if err := errors.Join(c.Cordon(t.Context(), "w1", "r2/drain"), c.Uncordon(t.Context(), "w1", "r2/drain")); err != nil {
		t.Fatal(err)
	}
	s.Remove("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/upgrader")
	older := under(t, s, acquired(t, s, ann("r3"))) // as if of a snapshot from before
	before := patches(s)
	for name, err := range map[string]error{
		"cordon":   older.Cordon(t.Context(), "w1", "r3/drain"),
		"uncordon": older.Uncordon(t.Context(), "w1", "r3/drain"),
	} {
		if !errors.Is(err, engine.ErrFenced) || !strings.Contains(err.Error(), "kubectl annotate node w1 upgrader.dev/epoch-") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if patches(s) != before {
		t.Errorf("it wrote: %v", s.Writes())
	}
	s.SetNode(kube.Node{Name: "w1", Annotations: map[string]string{kube.Epoch: "many"}})
	if err := older.Cordon(t.Context(), "w1", "r3/drain"); err == nil || !strings.Contains(err.Error(), "no epoch of upgrader") {
		t.Errorf("a mark that is none: %v", err)
	}
}

// While a write is under way the lock is renewed on, so that what follows it need not wait, and its answer is believed.
func TestTheLockIsRenewedWhileAWriteIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		state{}.set(s)
		l := acquired(t, s, ann("r1"))
		defer l.Keep(t.Context())()
		s.Admit(func(*http.Request) kubetest.Admission { return kubetest.Admission{Takes: 33 * time.Second} })
		before := len(s.Writes())
		if err := under(t, s, l).Cordon(t.Context(), "w1", "r1/drain"); err != nil {
			t.Error(err)
		}
		if renewals := len(s.Writes()) - before - 1; renewals != 6 {
			t.Errorf("it was renewed %d times in 33 s, want 6", renewals)
		}
	})
}
