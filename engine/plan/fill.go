package plan

import (
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// fill evaluates everything of a node that can be known before the run.
func (x *expander) fill(n *engine.Node, u *unit, host *engine.Target) {
	p := x.prepared[u]
	act, err := x.activation(u.scope, host)
	if err != nil {
		x.faults.Join(u.Pos, err)
		return
	}
	if n.When, err = x.when(u, p, host); err != nil {
		x.faults.Join(u.Pos, err)
		return
	}
	step := p.kind.New()
	_, n.Gate = step.(engine.Gate)
	n.Retry = x.retry(u, p, act)
	if n.When != "false" { // else it will not run: what its settings would be does not matter
		n.With = x.with(u, p, act, step)
		x.compress(n.With)
	}
	n.Timeout = x.duration(p.timeout, act, kindTimeout(step))
	if p.timeout != nil && n.Timeout == 0 {
		x.faults.Add(u.Timeout.Pos, "", "a timeout of nothing leaves no time for the step")
	}
}

// compress shortens, for a demonstration, how long something has to have been well.
func (x *expander) compress(with map[string]any) {
	text, _ := with["stableFor"].(string)
	if d, err := time.ParseDuration(text); err == nil && x.options.Compress > 0 {
		with["stableFor"] = min(d, x.options.Compress).String()
	}
}

// kindTimeout is how long a kind may take when the plan does not say. The step holds its settings: a wait knows how long
// it waits.
func kindTimeout(step engine.Step) time.Duration {
	if t, ok := step.(interface{ DefaultTimeout() time.Duration }); ok {
		return t.DefaultTimeout()
	}
	return defaultTimeout
}

// when is what is left of the conditions: "" for true, "false", or the text that the run evaluates.
func (x *expander) when(u *unit, p *prepared, host *engine.Target) (string, error) {
	var rest []string
	for i, e := range p.whens {
		act, err := x.activation(u.whens[i].scope, host)
		if err != nil {
			return "", err
		}
		v, text, err := e.evaluate(act)
		if err != nil {
			return "", faultAt(e.at(0), err.Error())
		}
		switch {
		case text != "":
			rest = append(rest, text)
		case v.Value() != true:
			return "false", nil
		}
	}
	if len(rest) > 1 {
		return "(" + strings.Join(rest, ") && (") + ")", nil
	}
	return strings.Join(rest, ""), nil
}

// with is the tree of the settings, decoded into the step too. What depends on the run is still an expression in it.
func (x *expander) with(u *unit, p *prepared, act map[string]any, step engine.Step) map[string]any {
	with, err := evaluateAll(p.with, p.templates, act)
	if err == nil {
		err = with.Decode(step, document.Hooks{Expression: func(*document.Value, document.Field) {}})
	}
	if err == nil && !hasExpression(with) {
		err = x.validate(u, p, with)
	}
	if err != nil {
		x.faults.Join(p.with.Pos, err)
		return nil
	}
	if len(with.Members) == 0 {
		return nil
	}
	tree, _ := with.Tree().(map[string]any)
	return tree
}

func (x *expander) retry(u *unit, p *prepared, act map[string]any) engine.Retry {
	r := engine.Retry{Attempts: defaultAttempts, Backoff: defaultBackoff, Max: defaultMaxPause}
	if u.Retry == nil {
		return r
	}
	r.Attempts = x.int(p.retry["attempts"], act, r.Attempts)
	r.Backoff = x.duration(p.retry["backoff"], act, r.Backoff)
	r.Max = max(x.duration(p.retry["max"], act, max(r.Max, r.Backoff)), 0)
	r.On = u.Retry.On.Text
	switch {
	case r.Attempts < 1:
		x.faults.Add(u.Retry.Attempts.Pos, "1 means no retry", "there must be at least one attempt, not %d", r.Attempts)
	case r.Max < r.Backoff:
		x.faults.Add(u.Retry.Max.Pos, "", "the longest pause %s is shorter than the first, %s", r.Max, r.Backoff)
	}
	return r
}

// group makes the rollout of a unit over its hosts.
func (x *expander) group(u *unit, hosts []engine.Target) {
	g := engine.Group{ID: u.path, MaxUnavailable: 1}
	for _, h := range hosts {
		g.Hosts = append(g.Hosts, h.Name)
	}
	if r := u.Rollout; r != nil {
		set := x.prepared[u].rollout
		act, err := x.activation(u.scope, nil)
		if err != nil {
			x.faults.Join(u.Pos, err)
			return
		}
		g.Canary = min(x.int(set["canary"], act, 0), len(hosts))
		g.Soak = x.duration(set["soak"], act, 0)
		g.MaxFailures = x.int(set["maxFailures"], act, 0)
		g.MaxUnavailable = x.maxUnavailable(set["maxUnavailable"], act, len(hosts))
	}
	if x.options.Compress > 0 {
		g.Soak = min(g.Soak, x.options.Compress)
	}
	if len(hosts) > 0 {
		x.out.Groups = append(x.out.Groups, g)
	}
}

// maxUnavailable rounds percentages down, but never below the one host without which nothing would move.
func (x *expander) maxUnavailable(t *template, act map[string]any, hosts int) int {
	text, ok := x.text(t, act)
	if !ok {
		return 1
	}
	var n document.IntOrPercent
	if err := n.UnmarshalText([]byte(text)); err != nil {
		x.faults.Add(t.at.Pos, "", `"maxUnavailable": %s`, err)
	} else if n.N == 0 {
		x.faults.Add(t.at.Pos, "write 1 or more", `"maxUnavailable" of nothing would never let a host start`)
	}
	return max(1, n.Of(hosts))
}

// spread lets the values of a label take turns, in the order in which they first appear. Hosts without the label are
// together one more value, so a label that no host has changes nothing.
func spread(hosts []engine.Target, label string) []engine.Target {
	var order []string
	by := map[string][]engine.Target{}
	for _, h := range hosts {
		v := h.Labels[label]
		if _, seen := by[v]; !seen {
			order = append(order, v)
		}
		by[v] = append(by[v], h)
	}
	var out []engine.Target
	for len(out) < len(hosts) {
		for _, v := range order {
			if len(by[v]) > 0 {
				out = append(out, by[v][0])
				by[v] = by[v][1:]
			}
		}
	}
	return out
}

// text evaluates a setting; false if it is absent or faulty.
func (x *expander) text(t *template, act map[string]any) (string, bool) {
	if t == nil {
		return "", false
	}
	v, err := t.evaluate(act)
	if err != nil {
		x.faults.Join(t.at.Pos, err)
		return "", false
	}
	return v.Text, true
}

func (x *expander) duration(t *template, act map[string]any, otherwise time.Duration) time.Duration {
	text, ok := x.text(t, act)
	if !ok {
		return otherwise
	}
	d, err := document.ParseDuration(text)
	if err != nil {
		x.faults.Add(t.at.Pos, "", "%s", err)
	}
	return d
}

func (x *expander) int(t *template, act map[string]any, otherwise int) int {
	text, ok := x.text(t, act)
	if !ok {
		return otherwise
	}
	n, err := document.ParseInt(text)
	if err == nil && (n < 0 || n > 1<<20) {
		x.faults.Add(t.at.Pos, "", "%d is out of range", n)
	} else if err != nil {
		x.faults.Add(t.at.Pos, "", "%s", err)
	}
	return int(n)
}
