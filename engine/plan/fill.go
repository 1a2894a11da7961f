package plan

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// knowledge is what the nodes of a unit have in common. What does not depend on the host is worked out for the first of
// them and shared by all.
type knowledge struct {
	at       string // file:line:col
	whenOf   bool   // the condition depends on the host
	ofHost   bool   // the rest does
	when     *string
	settings map[bool]*setting // by whether the node will run at all
}

// A setting is what a node is given beside its place and its condition.
type setting struct {
	with    map[string]any
	text    json.RawMessage // with, as JSON
	retry   engine.Retry
	timeout time.Duration
	gate    bool
}

// fill evaluates everything of a node that can be known before the run.
func (x *expander) fill(n *engine.Node, u *unit, host *engine.Target) {
	k := x.knowledgeOf(u)
	n.At, n.When = k.at, x.whenOn(u, k, host)
	s := x.settingOn(u, k, host, n.When != engine.Never)
	n.With, n.Retry, n.Timeout, n.Gate = s.with, s.retry, s.timeout, s.gate
	if n.OnTimeout = u.Late.Text; n.OnTimeout == engine.SkipHost {
		n.OnTimeout = "" // as without a word
	}
	n.Digest = nodeDigest(n, s.text)
}

func (x *expander) knowledgeOf(u *unit) *knowledge {
	k, known := x.known[u]
	if !known {
		p := x.prepared[u]
		k = &knowledge{at: u.Pos.String(), settings: map[bool]*setting{}} //nolint:staticcheck // u.String() would not say of what
		for i, e := range p.whens {
			k.whenOf = k.whenOf || x.ofHost(e, u.whens[i].scope)
		}
		for _, t := range slices.Concat(slices.Collect(maps.Values(p.templates)), slices.Collect(maps.Values(p.retry)), []*template{p.timeout}) {
			k.ofHost = k.ofHost || x.templateOfHost(t, u.scope)
		}
		x.known[u] = k
	}
	return k
}

// whenOn is the condition of a unit as it is left on a host.
func (x *expander) whenOn(u *unit, k *knowledge, host *engine.Target) string {
	if k.when != nil && !k.whenOf {
		return *k.when
	}
	when, err := x.when(u, x.prepared[u], host)
	x.faults.Join(u.Pos, err)
	k.when = &when
	return when
}

// settingOn is everything else of a unit on a host.
func (x *expander) settingOn(u *unit, k *knowledge, host *engine.Target, runs bool) *setting {
	if s := k.settings[runs]; s != nil && !k.ofHost {
		return s
	}
	s := &setting{}
	k.settings[runs] = s
	act, err := x.activation(u.scope, host)
	if err != nil {
		x.faults.Join(u.Pos, err)
		return s
	}
	p := x.prepared[u]
	step := p.kind.New()
	_, s.gate = step.(engine.Gate)
	s.retry = x.retry(u, p, act)
	if runs { // else what its settings would be does not matter
		s.with = x.with(u, p, act, step)
		x.compress(s.with)
	}
	s.text, _ = json.Marshal(s.with) // strings, lists and maps of them only
	s.timeout = x.timeout(u, p, act, step)
	return s
}

// templateOfHost says whether a setting is another one on each host.
func (x *expander) templateOfHost(t *template, sc *scope) bool {
	return t != nil && slices.ContainsFunc(t.parts, func(p compiledPart) bool { return p.expr != nil && x.ofHost(p.expr, sc) })
}

// ofHost says whether an expression depends on the host: it names it, or an input of its fragment that does.
func (x *expander) ofHost(e *expression, sc *scope) bool {
	if e.on(hostName) {
		return true
	}
	if sc.parent == nil {
		return false
	}
	for name := range e.vars {
		if x.templateOfHost(x.inputTemplates(sc)[name], sc.parent) {
			return true
		}
	}
	return false
}

// compress shortens, for a demonstration, how long something has to have been well.
func (x *expander) compress(with map[string]any) {
	text, _ := with["stableFor"].(string)
	if d, err := time.ParseDuration(text); err == nil && x.options.Compress > 0 {
		with["stableFor"] = min(d, x.options.Compress).String()
	}
}

// timeout is how long the plan gives the step, or its kind.
func (x *expander) timeout(u *unit, p *prepared, act map[string]any, step engine.Step) time.Duration {
	if p.timeout == nil {
		return kindTimeout(step)
	}
	before := x.faults.Len()
	d := x.duration(p.timeout, act)
	if d == 0 && x.faults.Len() == before {
		x.faults.Add(u.Timeout.Pos, "", "a timeout of nothing leaves no time for the step")
	}
	return d
}

// kindTimeout is how long a kind may take when the plan does not say. The step holds its settings: a wait knows how long
// it waits.
func kindTimeout(step engine.Step) time.Duration {
	if p, ok := step.(engine.Patient); ok {
		return p.DefaultTimeout()
	}
	return defaultTimeout
}

// when is what is left of the conditions: "" for true, engine.Never, or the text that the run evaluates.
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
			return engine.Never, nil
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
		err = decodeKnown(with, step)
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
	written, before := cmp.Or(u.Retry, &retry{}), x.faults.Len()
	r := engine.Retry{Attempts: x.int(p.retry["attempts"], act), Backoff: x.duration(p.retry["backoff"], act),
		Max: x.duration(p.retry["max"], act), On: written.On.Text}
	if written.Max == nil {
		r.Max = max(r.Max, r.Backoff)
	}
	switch {
	case x.faults.Len() > before: // it was not found out what they are
	case r.Attempts < 1:
		x.faults.Add(written.Attempts.Pos, "1 means no retry", "there must be at least one attempt, not %d", r.Attempts)
	case r.Max < r.Backoff:
		x.faults.Add(written.Max.Pos, "", "the longest pause %s is shorter than the first, %s", r.Max, r.Backoff)
	}
	return r
}

// group makes the rollout of a unit over its hosts.
func (x *expander) group(u *unit, hosts []int) {
	var act map[string]any
	if u.Rollout != nil { // else there is nothing to evaluate
		var err error
		if act, err = x.activation(u.scope, nil); err != nil {
			x.faults.Join(u.Pos, err)
			return
		}
	}
	set := x.prepared[u].rollout
	g := engine.Group{ID: u.path, Canary: min(x.int(set["canary"], act), len(hosts)), Soak: x.duration(set["soak"], act),
		MaxFailures: x.int(set["maxFailures"], act), MaxUnavailable: x.maxUnavailable(set["maxUnavailable"], act, len(hosts))}
	for _, h := range hosts {
		g.Hosts = append(g.Hosts, x.hosts.targets[h].Name)
	}
	if x.options.Compress > 0 {
		g.Soak = min(g.Soak, x.options.Compress)
	}
	if len(hosts) > 0 {
		x.out.Groups = append(x.out.Groups, g)
	}
	if g.MaxFailures == 0 {
		x.skipsNobody(u)
	}
}

// skipsNobody refuses steps that leave hosts out in words only: where no failure is tolerated, the first of them stops the run.
func (x *expander) skipsNobody(u *unit) {
	for _, s := range leaves([]*unit{u}) {
		if s.Late.Text == engine.SkipHost {
			x.faults.Add(s.Late.Pos, "add rollout: {maxFailures: 1}, or say stop", `"onTimeout: skip" leaves no host out: no rollout with maxFailures tolerates it`)
		}
	}
}

// maxUnavailable rounds percentages down, but never below the one host without which nothing would move. 0 if it is faulty.
func (x *expander) maxUnavailable(t *template, act map[string]any, hosts int) int {
	text, ok := x.text(t, act)
	if !ok {
		return 0
	}
	var n document.IntOrPercent
	if err := n.UnmarshalText([]byte(text)); err != nil {
		x.faults.Add(t.at.Pos, "", `"maxUnavailable": %s`, err)
	} else if n.N == 0 {
		x.faults.Add(t.at.Pos, "write 1 or more", `"maxUnavailable" of nothing would never let a host start`)
	}
	return max(1, n.Of(hosts))
}

// text evaluates a setting; false if it is faulty.
func (x *expander) text(t *template, act map[string]any) (string, bool) {
	v, err := t.evaluate(act)
	if err != nil {
		x.faults.Join(t.at.Pos, err)
		return "", false
	}
	return v.Text, true
}

// duration is a setting that is one; 0 if it is faulty.
func (x *expander) duration(t *template, act map[string]any) time.Duration {
	text, ok := x.text(t, act)
	if !ok {
		return 0
	}
	d, err := document.ParseDuration(text)
	if err != nil {
		x.faults.Add(t.at.Pos, "", "%s", err)
	}
	return d
}

// int is a setting that is a number from 0 on; 0 if it is faulty.
func (x *expander) int(t *template, act map[string]any) int {
	text, ok := x.text(t, act)
	if !ok {
		return 0
	}
	n, err := document.ParseInt(text)
	if err == nil && (n < 0 || n > 1<<20) {
		x.faults.Add(t.at.Pos, "", "%d is out of range", n)
	} else if err != nil {
		x.faults.Add(t.at.Pos, "", "%s", err)
	}
	return int(n)
}
