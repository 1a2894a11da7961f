package kube_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// A budget says in the disruption controller's words why it allows nothing, where that is not for its numbers.
func TestBudgetsSayWhy(t *testing.T) {
	const failed = `"conditions": [{"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "found no controllers for pod \"cart-0\""}]`
	for status, says := range map[string]string{
		`"observedGeneration": 1, "expectedPods": 3, "currentHealthy": 2, "desiredHealthy": 2`:            "PDB shop/cart allows 0 (2 healthy, needs 2)",
		`"observedGeneration": 1, "expectedPods": 3, "currentHealthy": 3, "desiredHealthy": 2, ` + failed: `PDB shop/cart cannot be computed: SyncFailed: found no controllers for pod "cart-0"`,
		failed:                    `PDB shop/cart cannot be computed: SyncFailed: found no controllers for pod "cart-0"`, // never counted
		`"expectedPods": 3`:       "PDB shop/cart has changed and is not counted yet",
		`"observedGeneration": 1`: "PDB shop/cart allows 0: no pods match it (expectedPods 0)",
		`"observedGeneration": 1, "currentHealthy": 2`: "PDB shop/cart allows 0: it expects no pods (expectedPods 0), as no controller wants the 2 that it has",
		`"observedGeneration": 1, "expectedPods": 3, "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2, "conditions": [
			{"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods", "message": ""}]`: "PDB shop/cart allows 1 (3 healthy, needs 2)",
		`"observedGeneration": 1, "expectedPods": 3, "currentHealthy": 2, "desiredHealthy": 2, "conditions": [
			{"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": ""}]`: "PDB shop/cart allows 0 (2 healthy, needs 2)",
	} {
		c, err := kube.New("http://cluster.test", answering(`{"kind": "PodDisruptionBudgetList", "apiVersion": "policy/v1", "items": [
			{"metadata": {"namespace": "shop", "name": "cart", "generation": 1}, "spec": {"selector": {}}, "status": {`+status+`}}]}`), kube.Options{})
		if err != nil {
			t.Fatal(err)
		}
		budgets, err := c.Budgets(t.Context(), "shop")
		if err != nil || len(budgets) != 1 || budgets[0].Words() != says {
			t.Errorf("%s: %v, %v\nwant %s", status, budgets, err, says)
		}
	}
}

// answering is a server that gives every request the same answer.
type answering string

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}

// A budget that the disruption controller is behind with is forbidden, and is an answer for now all the same.
func TestAnEvictionWaitsForTheDisruptionController(t *testing.T) {
	for _, why := range []string{"pdb disruptions allowed is negative", "DisruptedPods map too big - too many evictions not confirmed by PDB controller"} {
		s := kubetest.New()
		pod := kube.Pod{Namespace: "shop", Name: "cart-0", UID: "p1", Node: "w1"}
		s.SetPod(pod)
		said := `poddisruptionbudget.policy "cart" is forbidden: ` + why
		s.Admit(func(*http.Request) kubetest.Admission {
			return kubetest.Admission{Code: http.StatusForbidden, Reason: "Forbidden", Message: said}
		})
		err := s.Client(t, "r1").Evict(t.Context(), pod)
		if notYet, ok := errors.AsType[*engine.NotYetError](err); !ok || notYet.Why != "shop/cart-0 waits: "+said {
			t.Error(err)
		}
	}
}

// An eviction that waits for a budget which cannot be computed quotes why it cannot.
func TestAnEvictionQuotesABudgetThatCannotBeComputed(t *testing.T) {
	s := kubetest.New()
	pod := kube.Pod{Namespace: "shop", Name: "cart-0", UID: "p1", Node: "w1", Labels: map[string]string{"app": "cart"}}
	s.SetPod(pod)
	s.SetBudget("shop", "cart", 0, pod.Labels)
	s.Uncompute("shop", "cart", "carts.shop.example does not implement the scale subresource")
	err := s.Client(t, "r1").Evict(t.Context(), pod)
	const says = "shop/cart-0 waits: PDB shop/cart cannot be computed: SyncFailed: carts.shop.example does not implement the scale subresource"
	if blocked, ok := errors.AsType[*kube.Blocked](err); !ok || blocked.Error() != says {
		t.Errorf("%v\nwant %s", err, says)
	}
}
