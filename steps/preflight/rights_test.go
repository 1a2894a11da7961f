package preflight

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
	"upgrader.dev/upgrader/steps/skew"
	"upgrader.dev/upgrader/steps/survey"
)

// TestEachRightIsMissed takes each right that a plan needs away in turn. Without one to look, nothing is looked at and the
// refusal names it; without another, there is a finding that names it.
func TestEachRightIsMissed(t *testing.T) {
	base, err := knowledge.Load()
	if err != nil {
		t.Fatal(err)
	}
	goal := Goal{To: mustParse(t, "1.29.15"), Cordons: true, Drains: []forecast.Group{{Nodes: []string{"w1"}}},
		Waivers: []engine.Waiver{{Check: "drain.delete", Where: "shop/*", Reason: "x"}}}
	rights := Rights(goal, base)
	if len(rights) <= len(kube.Rights()) {
		t.Errorf("%d rights, and none for what the target removes", len(rights))
	}
	for _, r := range rights {
		synctest.Test(t, func(t *testing.T) {
			s := kubetest.New()
			s.Deny(r)
			eyes := survey.Eyes{Cluster: s.Client(t, "r1").ReadOnly()}
			if r.Need != kube.ToLook {
				finds(t, eyes, goal, r)
				return
			}
			_, err := Inspect(t.Context(), eyes, goal)
			refused, ok := errors.AsType[*engine.RefusedError](err)
			if !ok || !strings.HasSuffix(refused.Why, "may not "+r.String()) || !strings.Contains(refused.Remedy, "examples/rbac.yaml") {
				t.Errorf("without %s: %v", r, err)
			}
		})
	}
}

func finds(t *testing.T, e survey.Eyes, goal Goal, r kube.Right) {
	t.Helper()
	missing, err := lacks(t.Context(), e, goal)
	if d := cmp.Diff([]kube.Right{r}, missing); err != nil || d != "" {
		t.Fatalf("without %s: %v\n%s", r, err, d)
	}
	found := Judge(&View{Lacks: missing, Goal: goal, Knowledge: &knowledge.Base{}}, controlPlaneFit)
	if len(found) != 1 || !found[0].Blocks() || !strings.Contains(found[0].Evidence, r.String()) || !strings.HasSuffix(found[0].What, string(r.Need)) {
		t.Errorf("without %s: %+v", r, found)
	}
}

// TestOnlyNeededRightsAreMissed proves that nobody has to have rights that the plan makes no use of.
func TestOnlyNeededRightsAreMissed(t *testing.T) {
	s := kubetest.New()
	s.Deny(kube.Right{Verb: "create", Resource: "pods/eviction"})
	missing, err := lacks(t.Context(), survey.Eyes{Cluster: s.Client(t, "r1")}, Goal{Cordons: true})
	if err != nil || len(missing) > 0 {
		t.Errorf("a plan that drains nothing: %v, %v", missing, err)
	}
	s.Deny(kube.Right{Verb: "delete", Resource: "pods"})
	missing, err = lacks(t.Context(), survey.Eyes{Cluster: s.Client(t, "r1")}, Goal{Cordons: true, Drains: []forecast.Group{{Nodes: []string{"w1"}}}})
	if err != nil || len(missing) > 0 {
		t.Errorf("a plan that deletes nothing: %v, %v", missing, err)
	}
}

// TestAServerThatDoesNotTellRights is taken at its word when it denies something, and not before.
func TestAServerThatDoesNotTellRights(t *testing.T) {
	s := kubetest.New()
	s.Deny(kube.Right{Verb: "create", Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"})
	synctest.Test(t, func(t *testing.T) {
		missing, err := lacks(t.Context(), survey.Eyes{Cluster: s.Client(t, "r1")}, Goal{})
		if err != nil || len(missing) > 0 {
			t.Errorf("%v, %v", missing, err)
		}
	})
}

func mustParse(t *testing.T, version string) skew.Version {
	t.Helper()
	v, err := skew.Parse(version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
