package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
)

// A load is what a drain finds on a node, sorted by what becomes of it.
type load struct {
	evict       []kube.Pod          // to be evicted, and may be now as far as one can see
	blocked     []kube.Pod          // to be evicted, when their budgets allow it
	why         map[string]string   // of the blocked, by pod
	terminating []kube.Pod          // on their way out
	stay        []kube.Pod          // static pods, DaemonSets' pods, and those that the selector leaves out
	faults      map[string][]string // pods that must not be evicted, by what they are and what the plan can say to it
	overlaps    map[string][]string // pods that two budgets select, with their names
}

// What stops a drain, in kubectl's words (pkg/drain/filters.go) with the plan's way out.
const (
	daemonSetFault = "DaemonSet-managed Pods (use `with: {ignoreDaemonSets: true}` to ignore)"
	localFault     = "Pods with local storage (use `with: {deleteEmptyDir: true}` to override)"
	unmanagedFault = "Pods declare no controller (use `with: {force: true}` to override)"
)

// survey reads the pods of a node and sorts them by the filters of kubectl drain, in their order.
func (d *drain) survey(ctx context.Context, n kube.Node) (*load, error) {
	pods, err := d.cluster.Pods(ctx, kube.PodFilter{Node: n.Name})
	if err != nil {
		return nil, err
	}
	if n.Unschedulable && d.found == nil {
		d.found = map[string]bool{}
		for _, p := range pods {
			d.found[p.UID] = true
		}
	}
	selected, err := kube.Selector(d.PodSelector)
	if err != nil {
		return nil, err
	}
	l := &load{why: map[string]string{}, faults: map[string][]string{}, overlaps: map[string][]string{}}
	for _, p := range pods {
		switch fault := d.fault(p); {
		case !selected(p.Labels) || d.stays(p):
			l.stay = append(l.stay, p)
		case p.Terminating: // whatever it is, it is not this drain that ends it
			l.terminating = append(l.terminating, p)
		case fault != "":
			l.faults[fault] = append(l.faults[fault], p.String())
		default:
			l.evict = append(l.evict, p)
		}
	}
	if len(l.evict) == 0 {
		return l, nil
	}
	budgets, err := d.cluster.Budgets(ctx, "")
	if err != nil {
		return nil, err
	}
	l.weigh(budgets)
	return l, nil
}

// stays says whether a drain leaves a pod alone without a word.
func (d *drain) stays(p kube.Pod) bool {
	if d.found != nil && !d.found[p.UID] && p.Tolerates {
		return true // placed here in spite of the cordon, and would be again for ever; kubectl drain does not look again
	}
	return p.Mirror || p.OwnerKind == "DaemonSet" && !p.Finished && d.IgnoreDaemonSets
}

// fault says why a pod must not be evicted, or "". A finished pod always may be.
func (d *drain) fault(p kube.Pod) string {
	switch {
	case p.Finished:
		return ""
	case p.OwnerKind == "DaemonSet":
		return daemonSetFault
	case p.EmptyDir && !d.DeleteEmptyDir:
		return localFault
	case p.OwnerKind == "" && !d.Force:
		return unmanagedFault
	}
	return ""
}

// weigh sets aside the pods whose eviction the API server would refuse now: a running pod that is Ready always counts
// against its budget. Others are tried, because a budget may let them go.
func (l *load) weigh(budgets []kube.Budget) {
	l.evict = slices.DeleteFunc(l.evict, func(p kube.Pod) bool {
		if p.Phase != "Running" {
			return false // the API server asks no budget for it
		}
		var names []string
		for _, b := range budgets {
			if !b.Covers(p) {
				continue
			}
			names = append(names, b.String())
			if (b.Allowed <= 0 || b.Pending) && p.Ready {
				l.why[p.String()] = b.Words()
			}
		}
		if len(names) > 1 {
			l.overlaps[p.String()] = names
		}
		if l.why[p.String()] == "" {
			return false
		}
		l.blocked = append(l.blocked, p)
		return true
	})
}

// refused names every pod that stops the drain, at once.
func (l *load) refused() error {
	var found []string
	for _, fault := range []string{daemonSetFault, localFault, unmanagedFault} {
		if pods := l.faults[fault]; len(pods) > 0 {
			found = append(found, "cannot evict "+fault+": "+strings.Join(pods, ", "))
		}
	}
	for _, pod := range slices.Sorted(maps.Keys(l.overlaps)) {
		found = append(found, fmt.Sprintf("cannot evict Pods that more than one PodDisruptionBudget selects: %s (%s)", pod, strings.Join(l.overlaps[pod], ", ")))
	}
	if len(found) == 0 {
		return nil
	}
	return engine.Refuse(strings.Join(found, "; "), "move these pods away, or say in the plan that they may go")
}

// waits says what a drain waits for, when nothing is left to evict.
func (l *load) waits(now time.Time) []string {
	var waits []string
	for _, p := range l.blocked {
		waits = append(waits, (&kube.Blocked{Pod: p.String(), Why: l.why[p.String()]}).Error())
	}
	for _, p := range l.terminating {
		since := ""
		if !p.TerminatingSince.IsZero() {
			since = " for " + kube.Lasting(now.Sub(p.TerminatingSince))
		}
		waits = append(waits, p.String()+" is terminating"+since)
	}
	return waits
}

// evict asks for one pod. A refusal for now is no failure: the next observation tries again, until the step's timeout.
func (d *drain) evict(ctx context.Context, p kube.Pod) error {
	err := d.cluster.EvictWithin(ctx, p, d.GracePeriod)
	if blocked, ok := errors.AsType[*kube.Blocked](err); ok {
		return engine.NotYet("%s", blocked.Error())
	}
	return err
}

// volumes waits until no volume is attached to the node but those of the pods that stay: a volume still attached here
// cannot be used where its pod went.
func (d *drain) volumes(ctx context.Context, host string, l *load) error {
	if !d.WaitForVolumes {
		return nil
	}
	attached, err := d.cluster.VolumesAttached(ctx, host)
	if err != nil || len(attached) == 0 {
		return err
	}
	for _, p := range l.stay {
		used, err := d.cluster.VolumesOf(ctx, p)
		if err != nil {
			return err
		}
		attached = slices.DeleteFunc(attached, func(v string) bool { return slices.Contains(used, v) })
	}
	if len(attached) == 0 {
		return nil
	}
	return engine.NotYet("still attached to %s: %s", host, few(attached))
}

// few joins the first of many words and says how many more there are.
func few(words []string) string {
	const most = 5
	if len(words) <= most {
		return strings.Join(words, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(words[:most], "; "), len(words)-most)
}
