package forecast

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// A webhook is one that fails closed, with the pods that answer for it.
type webhook struct {
	kube.Webhook
	pods []*body
}

// answered finds the pods that answer for each webhook now. One of which none do is not for a drain to silence.
func (l *layout) answered(all []kube.Webhook) (hooks []webhook) {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b kube.Webhook) int {
		return cmp.Or(strings.Compare(a.Configuration, b.Configuration), strings.Compare(a.Name, b.Name))
	})
	for _, h := range sorted {
		hook := webhook{Webhook: h}
		for _, b := range l.bodies {
			if h.AnsweredBy(b.Pod) {
				hook.pods = append(hook.pods, b)
			}
		}
		hooks = append(hooks, hook)
	}
	return hooks
}

// webhooks tells, once for each, of the webhooks that fail closed and that this drain leaves without a pod to answer.
func (t *telling) webhooks(l load) {
	for _, h := range t.forecaster.webhooks {
		key := "drain.webhook " + h.Configuration + " " + h.Name
		if backends := t.silenced(h, l); len(backends) > 0 && !t.told[key] {
			t.told[key] = true
			t.silence(h, l, backends)
		}
	}
}

// silenced returns the pods of the load that answer for a webhook, if no others do meanwhile. Where a budget covers all
// of them, evictions leave as many as it wants. Pods that moved are taken to be Ready again.
func (t *telling) silenced(h webhook, l load) (leaving []*body) {
	guarded := true
	for _, b := range h.pods {
		switch {
		case b.at == nil:
			continue
		case slices.Contains(l.evict, b):
			leaving = append(leaving, b)
		case !slices.Contains(t.together, b.at.Node) || t.stays(b):
			return nil
		}
		guarded = guarded && slices.ContainsFunc(t.forecaster.budgets.of(b), func(budget kube.Budget) bool { return budget.Desired > 0 })
	}
	if guarded {
		return nil
	}
	return leaving
}

func (t *telling) silence(h webhook, l load, backends []*body) {
	what := fmt.Sprintf("it fails closed, and no pod answers for it while %s out of service", t.away())
	severity := finding.Warning
	switch stops := stops(h, l, backends); {
	case stops == "":
	case h.Conditional:
		what += "; unless its match conditions say otherwise, it stops " + stops
	default:
		severity = finding.Blocker
		what += ": it stops " + stops
		t.block("drain.webhook")
	}
	t.found = append(t.found, finding.Finding{
		Check: "drain.webhook", Severity: severity, Where: h.Configuration, What: h.Name + ": " + what,
		Evidence: fmt.Sprintf("service %s/%s; asked about %s; %s", h.Namespace, h.Service, h.Rules, described(backends)),
		Remedy: fmt.Sprintf("run two replicas on different nodes with a PodDisruptionBudget, or exclude namespace %s by its namespaceSelector: `kubectl edit %s`",
			h.Namespace, strings.ToLower(strings.Replace(h.Configuration, " ", "/", 1))),
	})
}

// stops says which of what a webhook is asked about the drain cannot do without, or "".
func stops(h webhook, l load, backends []*body) string {
	if !slices.ContainsFunc(backends, func(b *body) bool { return !h.Pods(b.Namespace, b.Labels) }) {
		return "the very pods that would answer for it again from being created"
	}
	for _, b := range l.evict {
		if !slices.Contains(backends, b) && h.Evictions(b.Namespace) {
			return "the evictions that are left"
		}
	}
	return ""
}
