package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/kube"
)

// A load is what a drain finds on a node, sorted by what becomes of it.
type load struct {
	evict       []kube.Pod                   // to be evicted now
	blocked     []kube.Pod                   // to be evicted, asked for a moment ago, and not let go
	why         map[string]string            // what the budgets of these and of some to be evicted say, by UID
	said        map[string]string            // what else was answered when these and some to be evicted were asked for, by UID
	terminating []kube.Pod                   // on their way out
	stay        []kube.Pod                   // static pods, DaemonSets' pods, and those that the selector leaves out
	returned    []kube.Pod                   // evicted twice, and back: they are left, which is yet to be recorded
	faults      map[eviction.Reason][]string // pods that must not be evicted
	overlaps    map[string][]string          // pods that two budgets select, with their names
}

// survey reads the pods of a node and sorts them.
func (d *drain) survey(ctx context.Context, s engine.Scene, n kube.Node) (*load, error) {
	pods, err := d.cluster.Pods(ctx, kube.PodFilter{Node: n.Name})
	if err != nil {
		return nil, err
	}
	rules, err := d.Rules()
	if err != nil {
		return nil, err
	}
	if n.Unschedulable {
		d.welcome(s, pods)
	}
	l := &load{why: map[string]string{}, faults: map[eviction.Reason][]string{}, overlaps: map[string][]string{}}
	for _, p := range pods {
		switch fate, why := rules.Judge(p); {
		case fate == eviction.Refused && d.guests[p.UID].newcomer: // as kubectl drain, which does not look again: kubectl debug makes such pods
			l.stay = append(l.stay, p)
		case fate == eviction.Refused:
			l.faults[why] = append(l.faults[why], p.String())
		case fate == eviction.Passes && (!p.Finished || !eviction.Overdue(p, s.Now)): // of such a one no process is left, nor a mount
			l.terminating = append(l.terminating, p)
		case fate == eviction.Goes:
			l.send(p, d.comeback(s, p))
		default:
			l.stay = append(l.stay, p)
		}
	}
	if len(l.evict) == 0 {
		return l, nil
	}
	budgets, err := d.cluster.Budgets(ctx, "")
	if err != nil {
		return nil, err
	}
	l.weigh(eviction.NewBudgets(budgets))
	d.pace(l, s.Now)
	return l, nil
}

// send sorts a pod that is to go by how it came here.
func (l *load) send(p kube.Pod, c comeback) {
	switch c {
	case settled:
		l.stay = append(l.stay, p)
	case stubborn:
		l.returned = append(l.returned, p)
	default:
		l.evict = append(l.evict, p)
	}
}

// weigh finds out what budgets say to each eviction.
func (l *load) weigh(budgets *eviction.Budgets) {
	for _, p := range l.evict {
		covering := budgets.Over(p)
		for _, b := range covering {
			if eviction.Refuses(b, p) {
				l.why[p.UID] = b.Words()
			}
		}
		if len(covering) > 1 {
			l.overlaps[p.String()] = names(covering)
		}
	}
}

func names(budgets []kube.Budget) (all []string) {
	for _, b := range budgets {
		all = append(all, b.String())
	}
	return all
}

// refused names every pod that stops the drain, at once, and what helps.
func (l *load) refused() error {
	var found, remedies []string
	for _, why := range eviction.Reasons() {
		if pods := l.faults[why]; len(pods) > 0 {
			found = append(found, fmt.Sprintf("cannot evict %s: %s", why, strings.Join(pods, ", ")))
		}
	}
	if len(found) > 0 {
		remedies = append(remedies, "move these pods away, or say in the plan that they may go")
	}
	if pods := l.overlapping(); len(pods) > 0 {
		found = append(found, "cannot evict Pods that more than one PodDisruptionBudget selects: "+strings.Join(pods, ", "))
		remedies = append(remedies, "change the budgets' selectors so that one covers each pod")
	}
	if len(found) == 0 {
		return nil
	}
	return engine.Refuse(strings.Join(found, "; "), strings.Join(remedies, "; and "))
}

// overlapping are the pods that several budgets select, with these.
func (l *load) overlapping() (pods []string) {
	for _, pod := range slices.Sorted(maps.Keys(l.overlaps)) {
		pods = append(pods, fmt.Sprintf("%s (%s)", pod, strings.Join(l.overlaps[pod], ", ")))
	}
	return pods
}

// waits says what a drain waits for, when nothing is left to evict for now.
func (l *load) waits(now time.Time, n kube.Node) (waits []string) {
	if len(l.terminating) > 0 && !n.Ready {
		waits = append(waits, fmt.Sprintf("node %s is %s, and without its kubelet no pod on it ends", n.Name, n.NotReady(now)))
	}
	for _, p := range l.blocked {
		waits = append(waits, cmp.Or(l.said[p.UID], (&kube.Blocked{Pod: p.String(), Why: l.why[p.UID]}).Error()))
	}
	for _, p := range l.terminating {
		waits = append(waits, ending(p, now))
	}
	return waits
}

// ending says how long a pod has been terminating, and once it is late what may hold it.
func ending(p kube.Pod, now time.Time) string {
	words := p.String() + " is terminating"
	if p.TerminatingSince.IsZero() {
		return words
	}
	lasts := now.Sub(p.TerminatingSince)
	words += " for " + kube.Lasting(lasts)
	if late := lasts > p.Grace; late && len(p.Finalizers) > 0 {
		words += ", and held by " + strings.Join(p.Finalizers, ", ")
	}
	return words
}

// evict asks for one pod. A refusal for now is no failure: the next observation tries again, until the step's timeout.
func (d *drain) evict(ctx context.Context, p kube.Pod) error {
	err := d.cluster.EvictWithin(ctx, p, d.GracePeriod)
	d.answers.hear(p, err)
	if blocked, ok := errors.AsType[*kube.Blocked](err); ok {
		return engine.NotYet("%s", blocked.Error())
	}
	return err
}
