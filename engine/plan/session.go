package plan

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// session is one Check or one Expand: a plan, what it is checked against, and what has been found wrong.
type session struct {
	plan     *Plan
	catalog  *engine.Catalog
	hosts    *hostSet // nil offline
	faults   *document.Faults
	vars     map[string]ref.Val // values of the plan's variables; those that are not given yet are missing
	to       string             // versions.to; empty if it is not known yet
	envs     map[*words]*environment
	inputs   map[*scope]map[string]*template // of fragments, compiled
	seen     map[*scope]activation           // without a host
	defaults map[string][]document.Field     // see computed
	prepared map[*unit]*prepared
	retryEnv *environment
	usual    struct{ retry, rollout settings } // where a step has none of its own
}

func newSession(p *Plan, c *engine.Catalog, hosts *hostSet, given map[string]string) (*session, error) {
	s := &session{plan: p, catalog: c, hosts: hosts, faults: &document.Faults{}, vars: map[string]ref.Val{},
		envs: map[*words]*environment{}, inputs: map[*scope]map[string]*template{}, seen: map[*scope]activation{},
		defaults: map[string][]document.Field{}, prepared: map[*unit]*prepared{}}
	s.faults.Join(document.Pos{}, p.faults.Err())
	s.values(given)
	var err error
	if s.retryEnv, err = retryEnvironment(); err != nil {
		return nil, err
	}
	s.usual.retry, s.usual.rollout = s.settings(p.scope, permission{}, &retry{}), s.settings(p.scope, permission{}, &rollout{})
	if err := s.versions(); err != nil {
		return nil, err
	}
	return s, nil
}

// values takes the variables from the command line and from the defaults.
func (s *session) values(given map[string]string) {
	table := s.plan.scope.vars
	var names []string
	for _, e := range table {
		names = append(names, e.Name)
		text, ok := given[e.Name]
		if !ok && e.Value.Default != nil {
			text, ok = flat(e.Value.Default)
			if v, err := e.Value.value(e.Name, text); err == nil && ok {
				s.vars[e.Name] = v
			}
			continue // what is wrong with it is a fault of the plan already
		}
		if !ok {
			continue
		}
		v, err := e.Value.value(e.Name, text)
		if err != nil {
			s.faults.Add(document.Pos{File: "--var " + e.Name}, "", "%s", err)
			continue
		}
		s.vars[e.Name] = v
	}
	for _, name := range sortedKeys(given) {
		if _, ok := table.Lookup(name); !ok {
			s.faults.Add(document.Pos{File: "--var " + name}, document.Suggest(name, names), "the plan has no variable %q", name)
		}
	}
}

// missing reports the variables that have no value.
func (s *session) missing(given map[string]string) {
	for _, e := range s.plan.scope.vars {
		_, ok := s.vars[e.Name]
		if _, bad := given[e.Name]; !ok && !bad && e.Value.Default == nil {
			s.faults.Add(e.At, fmt.Sprintf("give it with --var %s=...", e.Name), "variable %q has no value", e.Name)
		}
	}
}

// versions checks versions.from and versions.to and evaluates the latter, which may name variables.
func (s *session) versions() error {
	v := s.plan.file.Versions
	if v == nil {
		return nil
	}
	if v.From.Text == "" || v.To.Text == "" { // told already
		return nil
	}
	if !constraintSyntax(v.From.Text) {
		s.faults.Add(v.From.Pos, `write it like ">=1.27.0 <1.28.0"`, "%q is not a range of versions", v.From.Text)
	}
	env, err := newEnvironment(false, nil, s.plan.scope.objects()[0])
	if err != nil {
		return err
	}
	t := s.compile(v.To.Value(), env)
	if t == nil || !s.known(t, s.plan.scope) {
		return nil
	}
	value, err := t.evaluate(map[string]any{varsName: s.object(s.vars)})
	if err != nil {
		s.faults.Join(v.To.Pos, err)
		return nil
	}
	parsed, err := parseAs("version", value.Text)
	if err != nil {
		s.faults.Add(v.To.Pos, "", "%s", err)
		return nil
	}
	s.to = string(parsed.(types.String))
	return nil
}

// constraintSyntax accepts comparators with versions, separated by blanks or commas, and || between alternatives. The
// steps that know versions look closer.
func constraintSyntax(text string) bool {
	ok := false
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == ',' || r == '|' }) {
		if !versionSyntax.MatchString(strings.TrimLeft(word, "<>=!~^")) {
			return false
		}
		ok = true
	}
	return ok
}

func (s *session) object(values map[string]ref.Val) *object { return &object{varsName, values} }

func (s *session) versionsObject() *object {
	parts := strings.SplitN(s.to, ".", 3)
	return &object{versionsName, map[string]ref.Val{
		"from":  types.String(s.plan.file.Versions.From.Text),
		"to":    types.String(s.to),
		"minor": types.String(strings.Join(parts[:min(2, len(parts))], ".")),
	}}
}

// env returns the environment of a scope, made once for all uses of a file.
func (s *session) env(sc *scope) *environment {
	if e, ok := s.envs[sc.words]; ok {
		return e
	}
	e, err := newEnvironment(true, s.hostsFunction, append(sc.objects(), hostType, runType)...)
	if err != nil { // our own declarations are wrong: no plan can cause it
		s.faults.Add(document.Pos{File: s.plan.main}, "", "preparing expressions: %s", err)
		e = nil
	}
	s.envs[sc.words] = e
	return e
}

// hostsFunction is hosts('pattern') of expressions.
func (s *session) hostsFunction(text string) ref.Val { return s.hosts.list(text) }

// known says that everything static in a template can be evaluated now, for no host in particular. Offline, variables
// without a default are not known, nor is who is in a group.
func (s *session) known(t *template, sc *scope) bool {
	for _, p := range t.parts {
		if p.expr != nil && !s.knownExpression(p.expr, sc) {
			return false
		}
	}
	return true
}

func (s *session) knownExpression(e *expression, sc *scope) bool {
	if e.on(hostName) || (s.hosts == nil && e.on(hostsName)) {
		return false
	}
	if e.on(versionsName) && s.to == "" {
		return false
	}
	for name := range e.vars {
		if sc.parent == nil {
			if _, ok := s.vars[name]; !ok {
				return false
			}
			continue
		}
		if !s.knownInput(sc, name) {
			return false
		}
	}
	return true
}

// knownInput says that a variable of a fragment has a value now: given by the step that uses it, or its default.
func (s *session) knownInput(sc *scope, name string) bool {
	if _, given := sc.inputs[name]; given {
		t := s.inputTemplates(sc)[name]
		return t != nil && s.known(t, sc.parent)
	}
	v := sc.index[name]
	return v != nil && v.Default != nil
}

func faultAt(at document.Pos, msg string) error {
	faults := &document.Faults{}
	faults.Add(at, "", "%s", msg)
	return faults.Err()
}
