package census

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/skew"
)

// Blocking returns the violations that close the way to the target. Before the upgrade has begun that is every one, since
// kubeadm would refuse too, but for advice; once it is under way only those that break something, so that a half-upgraded cluster is
// never locked out of the rest of its upgrade.
func (c *Census) Blocking(o skew.Observed) []skew.Violation {
	begun := !c.Config.Version.IsZero() && c.Config.Version == o.Target
	for _, m := range []map[string]skew.Version{o.APIServers, o.ControllerManagers, o.Schedulers} {
		for _, v := range m {
			begun = begun || v == o.Target
		}
	}
	var blocking []skew.Violation
	for _, v := range skew.Check(o) {
		if v.Mandatory || !begun && !v.Advice() {
			blocking = append(blocking, v)
		}
	}
	return blocking
}

// Explain writes violations out for a refusal, each with what to do about it.
func Explain(all []skew.Violation) string {
	var words []string
	for _, v := range all {
		words = append(words, v.String()+": "+v.Remedy())
	}
	return strings.Join(words, "; ")
}

// A Move is a host as a step is about to leave it: with these versions. What is zero does not move.
type Move struct {
	Host    string
	Kubelet skew.Version // that will run, at once or after the next restart
	Kubeadm skew.Version // that will be installed
}

// String is the move in words: "kubelet 1.28.15 on w1".
func (m Move) String() string {
	var words []string
	if !m.Kubeadm.IsZero() {
		words = append(words, "kubeadm "+m.Kubeadm.String())
	}
	if !m.Kubelet.IsZero() {
		words = append(words, "kubelet "+m.Kubelet.String())
	}
	return strings.Join(words, " and ") + " on " + m.Host
}

// Forbidden returns the refusal to let a host move to these versions, by what runs now, or nil. It asks the API twice,
// for the nodes and for the pods of kube-system; its failures come back wrapped. A move is forbidden for what it would
// break itself: what is broken anyhow it may mend, and what kubeadm's documented order passes through is not broken. A
// host that is no node of the cluster, or runs that kubelet already, breaks nothing. An API server that is being replaced
// is waited for, as by Complete.
func Forbidden(ctx context.Context, from Running, s engine.Scene, m Move) error {
	c, err := TakeRunning(ctx, from)
	if err != nil {
		return fmt.Errorf("holding %s against the version skew policy: %w", m, err)
	}
	c.Promise(s)
	if !c.moved(m) {
		return nil
	}
	if err := c.complete(s, []string{APIServer}); err != nil {
		return err
	}
	if broken := c.brokenBy(m); len(broken) > 0 {
		return engine.Refuse(fmt.Sprintf("with %s the version skew policy would be broken: %s", m, Explain(broken)), "then resume")
	}
	return nil
}

// moved tells whether the move changes anything of a node.
func (c *Census) moved(m Move) bool {
	known := slices.ContainsFunc(c.Nodes, func(n kube.Node) bool { return n.Name == m.Host })
	return known && (!m.Kubeadm.IsZero() || c.Observed().Kubelets[m.Host] != m.Kubelet)
}

// brokenBy returns the mandatory violations that are there after the move and would not be there without what moves.
func (c *Census) brokenBy(m Move) []skew.Violation {
	before, after := c.Observed(), c.Observed()
	if !m.Kubelet.IsZero() {
		delete(before.Kubelets, m.Host)
		after.Kubelets[m.Host] = m.Kubelet
	}
	if !m.Kubeadm.IsZero() {
		after.Kubeadms = map[string]skew.Version{m.Host: m.Kubeadm}
	}
	without := skew.Check(before)
	return slices.DeleteFunc(skew.Check(after), func(v skew.Violation) bool {
		return !v.Mandatory || slices.Contains(without, v)
	})
}
