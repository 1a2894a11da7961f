package plan

import (
	"reflect"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// prepared is a unit with everything compiled and checked.
type prepared struct {
	kind      engine.Kind
	with      *document.Value // with the defaults that are expressions
	templates map[*document.Value]*template
	whens     []*expression
	timeout   *template
	retry     settings
	rollout   settings
}

// settings are the values of a retry or a rollout by their keys.
type settings map[string]*template

// Check reports every fault that can be found without hosts and without a network: structure, kinds, the types of all
// settings and expressions, and the values of those that depend on nothing but the defaults of variables.
func (p *Plan) Check(c *engine.Catalog) error {
	s, err := newSession(p, c, nil, nil)
	if err != nil {
		return err
	}
	s.check()
	return s.faults.Err()
}

func (s *session) check() {
	for _, u := range slices.Concat(s.plan.steps, s.plan.finally) {
		s.unit(u)
	}
	s.waivers()
}

// unit checks a step, or a group and its steps.
func (s *session) unit(u *unit) {
	if u.Hosts != nil {
		s.pattern(u.Hosts)
	}
	p := &prepared{templates: map[*document.Value]*template{}}
	s.prepared[u] = p
	p.rollout = s.rolloutOf(u)
	if u.group() {
		if u.scope != nil && isFragment(u.Uses.Text) && len(u.children) > 0 {
			s.inputTemplates(u.children[0].scope)
		}
		if len(u.children) == 0 {
			s.whens(u)
		}
		for _, c := range u.children {
			s.unit(c)
		}
		return
	}
	if u.Uses.Text == "" || isFragment(u.Uses.Text) {
		return // a fault of the structure, reported already
	}
	if u.scope.parent != nil {
		s.inputTemplates(u.scope)
	}
	p.whens = s.whens(u)
	if u.Timeout != nil {
		p.timeout = s.typed(u.Timeout, "duration", u.scope, permission{what: `"timeout"`, host: u.onHosts() != nil})
	}
	if u.Late.Text == engine.SkipHost && u.onHosts() == nil {
		s.faults.Add(u.Late.Pos, "remove it: the run stops when the step fails", `"onTimeout: skip" leaves a host out, and the step has none`)
	}
	s.retryOf(u, p)
	s.kind(u, p)
}

func (s *session) kind(u *unit, p *prepared) {
	kind, ok := s.catalog.Lookup(u.Uses.Text)
	if !ok {
		var names []string
		for _, k := range s.catalog.Kinds() {
			names = append(names, k.Name)
		}
		s.faults.Add(u.Uses.Pos, document.Suggest(u.Uses.Text, names), "there is no kind %q", u.Uses.Text)
		return
	}
	p.kind = kind
	if kind.Scope == engine.OnHost && u.onHosts() == nil {
		s.faults.Add(u.Uses.Pos, "add hosts to the step or to its group", "%s acts on a host, and the step has none", kind.Name)
	}
	if u.With != nil && u.With.Kind != document.Map {
		s.faults.Add(u.With.Pos, "", `"with" must be a mapping (key: value), this is %s`, u.With.Kind)
		return
	}
	p.with = s.withDefaults(u, kind)
	before := s.faults.Len()
	s.faults.Join(p.with.Pos, p.with.Decode(kind.New(), document.Hooks{
		Expression: func(v *document.Value, f document.Field) { s.setting(u, p, v, f) },
	}))
	if s.faults.Len() == before {
		s.validateOffline(u, p)
	}
}

// withDefaults adds the settings whose default is an expression over the plan.
func (s *session) withDefaults(u *unit, kind engine.Kind) *document.Value {
	with := &document.Value{Pos: u.Uses.Pos, Kind: document.Map}
	if u.With != nil {
		copied := *u.With
		with = &copied
	}
	for _, f := range s.computed(kind) {
		if with.Lookup(f.Name) == nil && u.scope.versions {
			member := document.Member{Key: f.Name, At: u.Uses.Pos, Value: document.NewText(u.Uses.Pos, f.Default)}
			with.Members = append(slices.Clone(with.Members), member)
		}
	}
	return with
}

// computed are the settings of a kind whose default is an expression over the plan.
func (s *session) computed(kind engine.Kind) []document.Field {
	list, known := s.defaults[kind.Name]
	if !known {
		list = slices.DeleteFunc(document.Fields(reflect.TypeOf(kind.New())), func(f document.Field) bool { return !strings.Contains(f.Default, marker) })
		s.defaults[kind.Name] = list
	}
	return list
}

// setting compiles one setting that holds an expression and compares its type with the field's.
func (s *session) setting(u *unit, p *prepared, v *document.Value, f document.Field) {
	if f.Never {
		s.faults.Add(v.At(strings.Index(v.Text, marker)), "give the value under env and use the variable",
			"no expression may stand in %q: its text is run by a shell", f.Name)
		return
	}
	env := s.env(u.scope)
	if env == nil {
		return
	}
	t := s.compile(v, env)
	if t == nil || !s.allowed(t, u.permission()) {
		return
	}
	if why := t.misfit(document.TypeName(f.GoType)); why != "" {
		s.faults.Add(t.first().at(0), "", "%q %s", f.Name, why)
		return
	}
	p.templates[v] = t
}

// permission says what a step's settings and conditions may name.
func (u *unit) permission() permission {
	return permission{what: `"with"`, host: u.onHosts() != nil, facts: true, state: u.finally}
}

// validateOffline decodes and validates the settings when all their values are known already.
func (s *session) validateOffline(u *unit, p *prepared) {
	for _, t := range p.templates {
		if t.uses(factsName, runName) || !s.known(t, u.scope) {
			return
		}
	}
	act, err := s.activation(u.scope, nil)
	if err == nil {
		var with *document.Value
		if with, err = evaluateAll(p.with, p.templates, act); err == nil {
			err = s.validate(u, p, with)
		}
	}
	s.faults.Join(p.with.Pos, err)
}

// evaluateAll replaces every scalar that has a template.
func evaluateAll(with *document.Value, templates map[*document.Value]*template, act map[string]any) (*document.Value, error) {
	faults := &document.Faults{}
	out := with.Map(func(_ string, v *document.Value) *document.Value {
		t, ok := templates[v]
		if !ok {
			return v
		}
		value, err := t.evaluate(act)
		if err != nil {
			faults.Join(v.Pos, err)
			return v
		}
		return value
	})
	return out, faults.Err()
}

// validate decodes settings that are all known and asks the step whether they make sense together.
func (s *session) validate(u *unit, p *prepared, with *document.Value) error {
	step := p.kind.New()
	if err := with.Decode(step, document.Hooks{}); err != nil {
		return err
	}
	err := validateStep(step)
	if err == nil {
		return nil
	}
	faults := &document.Faults{}
	at := u.Uses.Pos
	if u.With != nil {
		at = u.With.Pos
	}
	word := strings.Trim(strings.FieldsFunc(err.Error()+" ", func(r rune) bool { return r == ' ' || r == ':' || r == '.' })[0], `"`)
	if v := with.Lookup(word); v != nil { // the message begins with the name of the field
		at = v.Pos
	}
	faults.Add(at, "", "%s: %s", p.kind.Name, err.Error())
	return faults.Err()
}

func validateStep(step engine.Step) error {
	if v, ok := step.(engine.Validator); ok {
		return v.Validate()
	}
	return nil
}

// whens compiles the conditions of a step and of everything around it.
func (s *session) whens(u *unit) []*expression {
	var list []*expression
	for _, c := range u.whens {
		env := s.env(c.scope)
		if env == nil || strings.HasPrefix(strings.TrimSpace(c.text.Text), marker) {
			continue
		}
		e := env.compile(c.text.Text, c.text.At, s.faults)
		if e == nil {
			continue
		}
		s.hostArgs(e)
		p := u.permission()
		p.what = `"when"`
		if !s.permitted(e, p) {
			continue
		}
		if why := misfit(e.ast.OutputType(), "bool"); why != "" {
			s.faults.Add(c.text.At(0), "", `"when" %s`, why)
			continue
		}
		list = append(list, e)
	}
	return list
}

func (s *session) retryOf(u *unit, p *prepared) {
	p.retry = s.usual.retry
	if u.Retry == nil {
		return
	}
	p.retry = s.settings(u.scope, permission{host: u.onHosts() != nil}, u.Retry)
	on := u.Retry.On
	if on.Text == "" {
		return
	}
	e := s.retryEnv.compile(on.Text, on.At, s.faults)
	if e == nil {
		return
	}
	if why := misfit(e.ast.OutputType(), "bool"); why != "" {
		s.faults.Add(on.At(0), "", `"on" %s`, why)
	}
}

func (s *session) rolloutOf(u *unit) settings {
	if u.Rollout == nil {
		return s.usual.rollout
	}
	return s.settings(u.scope, permission{}, u.Rollout)
}

// settings compiles the values of a retry or a rollout. The tags of its fields say of what type each is, and what it is where it is
// not written.
func (s *session) settings(sc *scope, p permission, of any) settings {
	out := settings{}
	for f, v := range document.Settings(of) {
		p.what = `"` + f.Name + `"`
		out[f.Name] = s.typed(v, f.Type, sc, p)
	}
	return out
}
