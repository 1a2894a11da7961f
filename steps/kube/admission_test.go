package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// What admission says to a write is an answer for now, by whatever code it comes: it names what waits, in the webhook's own
// words, and advises nothing about rights. A right that is missing is final at once, and advised.
func TestWhatAdmissionSaysIsAnAnswerForNow(t *testing.T) {
	const denies, calls = `admission webhook "guard.example" denied the request: `, `Internal error occurred: failed calling webhook "guard.example": `
	const policy = "ValidatingAdmissionPolicy 'open' with binding 'shop' denied request: the shop is open"
	for _, tt := range []struct {
		name            string
		code            int
		reason, message string
		says            string // after what waits; empty: the answer is final
	}{
		{"denied, as webhooks do", 403, "Forbidden", denies + "the shop is open", denies + "the shop is open"},
		{"denied as bad", 400, "", denies + "the shop is open", denies + "the shop is open"},
		{"denied as unauthorized", 401, "Unauthorized", denies + "the shop is open", denies + "the shop is open"},
		{"denied as not there", 404, "NotFound", denies + "no such shop", denies + "no such shop"},
		{"denied as a conflict", 409, "Conflict", denies + "the shop is open", denies + "the shop is open"},
		{"denied as invalid", 422, "Invalid", denies + "the shop is open", denies + "the shop is open"},
		{"denied as too many", 429, "TooManyRequests", denies + "isruption enough", denies + "isruption enough"},
		{"denied as broken", 500, "InternalError", denies + "more than one PodDisruptionBudget", denies + "more than one PodDisruptionBudget"},
		{"denied without a word", 403, "", `admission webhook "guard.example" denied the request without explanation`, `admission webhook "guard.example" denied the request without explanation`},
		{"denied in the words of an authorizer", 403, "Forbidden", denies + `pods is forbidden: User "ann" cannot create resource`, denies + `pods is forbidden: User "ann" cannot create resource`},
		{"away", 500, "InternalError", calls + `failed to call webhook: Post "https://guard.shop.svc:443/?timeout=10s": no endpoints available for service "guard"`,
			`failed calling webhook "guard.example": failed to call webhook: Post "https://guard.shop.svc:443/?timeout=10s": no endpoints available for service "guard"`},
		{"a policy", 422, "Invalid", `pods "cart-0" is forbidden: ` + policy, policy},
		{"a policy that cannot be asked", 422, "Invalid", `pods "cart-0" is forbidden: policy 'open' with binding 'shop' denied request: no params found`, "policy 'open' with binding 'shop' denied request: no params found"},
		{"a policy that forbids", 403, "Forbidden", `pods "cart-0" is forbidden: ` + policy, policy},
		{"a server that has just started", 403, "Forbidden", `pods "cart-0" is forbidden: not yet ready to handle request`, "not yet ready to handle request"},
		{"a missing right", 403, "Forbidden", `pods "cart-0" is forbidden: User "ann" cannot create resource "pods/eviction" in API group "" in the namespace "shop"`, ""},
		{"a missing right of one who is called like that", 403, "Forbidden", `pods "cart-0" is forbidden: User "disruption-bot" cannot create resource "pods/eviction" in API group "" in the namespace "disruptions"`, ""},
		{"a missing right, by an authorizer that quotes", 403, "Forbidden", `pods "cart-0" is forbidden: User "ann" cannot create resource "pods/eviction": policy 'x' denied request: no`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for what, do := range map[string]func(c *kube.Client, p kube.Pod) error{
					"shop/cart-0":         func(c *kube.Client, p kube.Pod) error { return c.Evict(t.Context(), p) },
					"cordoning node w1":   func(c *kube.Client, _ kube.Pod) error { return c.Cordon(t.Context(), "w1", "r1/drain") },
					"uncordoning node w1": func(c *kube.Client, _ kube.Pod) error { return c.Uncordon(t.Context(), "w1", "r1/drain") },
				} {
					s, c, pod := admissionCluster(t, state{what == "uncordoning node w1", map[bool]string{true: "r1/drain"}[what == "uncordoning node w1"]})
					s.Admit(func(*http.Request) kubetest.Admission {
						return kubetest.Admission{Code: tt.code, Reason: tt.reason, Message: tt.message}
					})
					err, began := do(c, pod), time.Now()
					var notYet *engine.NotYetError
					if waits := errors.As(err, &notYet); waits != (tt.says != "") || waits && notYet.Why != what+" waits: "+tt.says {
						t.Errorf("%v", err)
					}
					if advised := strings.Contains(fmt.Sprint(err), "examples/rbac.yaml"); advised != (tt.says == "") || strings.Contains(fmt.Sprint(err), "kubeadm certs") {
						t.Errorf("advised about rights: %v", err)
					}
					if took := time.Since(began); took > 0 || patches(s) != 1 {
						t.Errorf("%s: %d writes in %s", what, patches(s), took)
					}
				}
			})
		})
	}
}

// An evicting step evicts the pods of w1 through a client, as a drain does.
type evicting struct{ client *kube.Client }

func (e evicting) Bind(*engine.Node, engine.Known, map[string]string) (engine.Bound, error) {
	return engine.Bound{Step: e}, nil
}

func (e evicting) Observe(ctx context.Context, _ engine.Scene) (changes []engine.Change, _ error) {
	pods, err := e.client.Pods(ctx, kube.PodFilter{Node: "w1"})
	for _, p := range pods {
		changes = append(changes, engine.Change{Say: "evict its pods", Of: p.String(), Repeat: engine.Convergent,
			Do: func(ctx context.Context, _ engine.Ticket) error { return e.client.Evict(ctx, p) }})
	}
	return changes, err
}

// unread is a journal that nobody reads.
type unread struct{}

func (unread) Append(...journal.Record) error { return nil }

// settle has the engine drain w1 within a quarter of an hour, and says how that ended and what was waited for.
func settle(t *testing.T, c *kube.Client) (end journal.Record, waits []string) {
	t.Helper()
	g := &engine.Graph{Nodes: []engine.Node{{ID: "drain@w1", Step: "drain", Kind: "evicting", Target: engine.Target{Name: "w1"},
		Timeout: 15 * time.Minute, Retry: engine.Retry{Attempts: 1}}}}
	r := engine.Runner{Graph: g, Run: "r1", Log: unread{}, Binder: evicting{c}, Watch: func(rec journal.Record) {
		switch rec.Kind {
		case journal.Settled:
			end = rec
		case journal.Wait:
			waits = append(waits, rec.Why)
		}
	}}
	if err := r.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return end, waits
}

// What keeps evictions from going on for a while is waited for, and told; what does so for ever ends with the step's timeout, and
// the end names the pod and who it was. It is never taken for an eviction that was made. A missing right ends it at once.
func TestAStepWaitsForAdmission(t *testing.T) {
	const away = `shop/cart-0 waits: failed calling webhook "guard.example": failed to call webhook: no endpoints available for service "guard"`
	const denied = `shop/cart-0 waits: admission webhook "guard.example" denied the request: the shop is open`
	const broken = "evict its pods: outcome unknown: evicting pod shop/cart-0: etcdserver: leader changed"
	webhookAway := kubetest.Admission{Code: 500, Reason: "InternalError",
		Message: `Internal error occurred: failed calling webhook "guard.example": failed to call webhook: no endpoints available for service "guard"`}
	webhookDenies := kubetest.Admission{Code: 403, Reason: "Forbidden", Message: `admission webhook "guard.example" denied the request: the shop is open`}
	serverBroken := kubetest.Admission{Code: 500, Message: "etcdserver: leader changed"}
	const missing = `pods "cart-0" is forbidden: User "ann" cannot create resource "pods/eviction" in API group "" in the namespace "shop"`
	for _, tt := range []struct {
		name  string
		says  kubetest.Admission
		lasts time.Duration
		state string
		waits string
		why   string
	}{
		{"a webhook that is away for a minute", webhookAway, time.Minute, engine.Done, away, ""},
		{"a webhook that denies for a minute", webhookDenies, time.Minute, engine.Done, denied, ""},
		{"a server that is broken for a minute", serverBroken, time.Minute, engine.Done, broken, ""},
		{"a webhook that is away", webhookAway, time.Hour, engine.Failed, away, "timed out after 15m0s, still waiting: " + away},
		{"a webhook that denies", webhookDenies, time.Hour, engine.Failed, denied, "timed out after 15m0s, still waiting: " + denied},
		{"a server that is broken", serverBroken, time.Hour, engine.Failed, broken, "timed out after 15m0s, still waiting: " + broken},
		{"a slow webhook that denies", kubetest.Admission{Takes: 28 * time.Second, Code: 403, Reason: "Forbidden", Message: webhookDenies.Message}, time.Hour,
			engine.Failed, denied, "timed out after 15m0s, still waiting: " + denied},
		{"a missing right", kubetest.Admission{Code: 403, Reason: "Forbidden", Message: missing}, time.Hour, engine.Failed, "",
			"evict its pods: evicting pod shop/cart-0: " + missing + "; the user of the kubeconfig lacks the right: see `kubectl auth can-i --list`; examples/rbac.yaml has all that upgrader needs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, _ := admissionCluster(t, state{})
				began := time.Now()
				s.Admit(func(*http.Request) kubetest.Admission {
					if time.Since(began) < tt.lasts {
						return tt.says
					}
					return kubetest.Admission{}
				})
				end, waits := settle(t, c)
				if end.State != tt.state || end.Why != tt.why || strings.Join(waits, "\n") != tt.waits {
					t.Errorf("%s after %s: %s\nwant %s\nit waited for\n%s", end.State, time.Since(began), end.Why, tt.why, strings.Join(waits, "\n"))
				}
				if took := time.Since(began); tt.state == engine.Done && took > tt.lasts+15*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}
