package sandbox

import (
	"strings"
	"testing"
)

// A budget whose pods have a controller that cannot say how many there should be says so in its condition, as the disruption
// controller does, and lets nothing go; once they have not, it is counted again.
func TestABudgetThatCannotBeComputed(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 2})
	pod := `{"metadata": {"name": "stray", "namespace": "shop", "labels": {"app": "db"},
		"ownerReferences": [{"apiVersion": "shop.example/v1", "kind": "Cart", "name": "cart", "uid": "u1", "controller": true}]}, "spec": {"nodeName": "w1"}}`
	says := func() string {
		_, body := c.do("GET", "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/db", "", "")
		return body
	}
	if body := says(); !strings.Contains(body, `"reason":"SufficientPods"`) || !strings.Contains(body, `"disruptionsAllowed":1`) {
		t.Fatalf("at first: %s", body)
	}
	if err := c.c.Put("pods", pod); err != nil {
		t.Fatal(err)
	}
	body := says()
	for _, want := range []string{`"reason":"SyncFailed"`, `"message":"found no controllers for pod \"stray\""`, `"disruptionsAllowed":0`, `"status":"False"`} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %s: %s", want, body)
		}
	}
	if again := says(); again != body {
		t.Errorf("it changes without a reason:\n%s\n%s", body, again)
	}
	if err := c.c.Put("pods", `{"metadata": {"name": "stray", "namespace": "shop"}}`); err != nil {
		t.Fatal(err)
	}
	if body := says(); !strings.Contains(body, `"reason":"SufficientPods"`) || !strings.Contains(body, `"disruptionsAllowed":1`) {
		t.Errorf("when that pod is none of its any more: %s", body)
	}
}
