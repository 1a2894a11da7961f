package node

import (
	"context"
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/kube"
)

// In the second half of a drain's time, pods that a waiver of drain.delete names and their budgets refuse are deleted, one after the
// other: a replacement of the first may be Ready by then, and its budget let the next be evicted.

// condemned takes the pod that is to be deleted out of those to be evicted, with the waiver that lets it. Only one that was asked for in
// this process, and that its budget keeps by its numbers, is.
func (d *drain) condemned(s engine.Scene, l *load) (p kube.Pod, w engine.Waiver, found bool) {
	if s.Halfway.IsZero() || s.Now.Before(s.Halfway) || slices.ContainsFunc(l.terminating, func(p kube.Pod) bool { return mayDelete(s, p) }) {
		return p, w, false
	}
	for _, list := range []*[]kube.Pod{&l.evict, &l.blocked} {
		i := slices.IndexFunc(*list, func(p kube.Pod) bool { return l.why[p.UID] != "" && d.asked[p.UID].times > 0 && mayDelete(s, p) })
		if i >= 0 {
			p = (*list)[i]
			*list = slices.Delete(*list, i, i+1)
			w, _, _ = eviction.MayDelete(s.Waivers, p, s.Now)
			return p, w, true
		}
	}
	return p, w, false
}

func mayDelete(s engine.Scene, p kube.Pod) bool {
	_, _, may := eviction.MayDelete(s.Waivers, p, s.Now)
	return may
}

// deletions is the one deletion that is due, if one is.
func (d *drain) deletions(ctx context.Context, s engine.Scene, n kube.Node, l *load) ([]engine.Change, error) {
	p, w, found := d.condemned(s, l)
	if !found {
		return nil, nil
	}
	tried, err := d.tried(ctx, s, l.newest(p)[owner(p)], p)
	if err != nil {
		return nil, err
	}
	c := d.eviction(s, n, p)
	c.Say = "delete past its budget, as the plan says (" + w.Reason + ")"
	c.Tried = tried
	c.Expects += "; " + l.why[p.UID]
	c.Do = func(ctx context.Context, _ engine.Ticket) error { return d.cluster.DeleteWithin(ctx, p, d.GracePeriod) }
	return []engine.Change{c}, nil
}
