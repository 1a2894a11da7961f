package kube_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// A deletion is a world, and what becomes of it.
type deletion struct {
	name    string
	is      []kube.Pod
	while   bool // another takes its place while the request is on its way
	deletes int
	left    []string // UIDs
}

func (d deletion) check(t *testing.T, s *kubetest.Server) {
	t.Helper()
	var left []string
	pods, err := s.Client(t, "look").Pods(t.Context(), kube.PodFilter{})
	for _, p := range pods {
		left = append(left, p.UID)
	}
	deletes := slices.DeleteFunc(s.Writes(), func(w string) bool { return !strings.HasPrefix(w, "DELETE ") })
	if err != nil || !slices.Equal(left, d.left) || len(deletes) != d.deletes {
		t.Errorf("%s: %v, left %v after %v", d.name, err, left, deletes)
	}
}

// A deletion asks no budget. It is of the very pod: none that came back under its name is touched, not even one that did while the request
// was on its way, and one that is gone or on its way out needs no request. Whatever goes wrong on the way, the pod is gone once it is said
// to be.
func TestDeletion(t *testing.T) {
	app := map[string]string{"app": "cart"}
	pod := kube.Pod{Namespace: "shop", Name: "cart-0", UID: "p1", Node: "w1", Labels: app}
	again := pod
	again.UID = "p2"
	for _, tt := range []deletion{
		{"kept by its budget", []kube.Pod{pod}, false, 1, nil},
		{"gone", nil, false, 0, nil},
		{"another", []kube.Pod{again}, false, 0, []string{"p2"}},
		{"another in the meantime", []kube.Pod{pod}, true, 1, []string{"p2"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := kubetest.New()
			s.SetBudget("shop", "cart", 1, app)
			for _, p := range tt.is {
				s.SetPod(p)
			}
			s.Fail(func(_ int, r *http.Request) kubetest.Fault {
				if tt.while && r.Method == http.MethodDelete {
					s.SetPod(again)
				}
				return kubetest.None
			})
			c := s.Client(t, "r1")
			if err := c.DeleteWithin(t.Context(), pod, 0); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			tt.check(t, s)
		})
	}
	for _, fault := range kubetest.Faults() {
		synctest.Test(t, func(t *testing.T) {
			s := kubetest.New()
			s.SetPod(pod)
			s.Fail(func(n int, _ *http.Request) kubetest.Fault {
				if n == 1 {
					return fault
				}
				return kubetest.None
			})
			err := s.Client(t, "r1").DeleteWithin(t.Context(), pod, 0)
			s.Fail(nil)
			if left, _ := s.Client(t, "look").Pods(t.Context(), kube.PodFilter{}); err == nil && len(left) > 0 {
				t.Errorf("%v: it is said to be deleted, and is there", fault)
			}
		})
	}
}
