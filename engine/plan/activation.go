package plan

import (
	"maps"
	"strings"

	"cel.dev/cel-go/common/types/ref"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// inputTemplates compiles what a step gives to its fragment, once.
func (s *session) inputTemplates(sc *scope) map[string]*template {
	if list, ok := s.inputs[sc]; ok {
		return list
	}
	list := map[string]*template{}
	s.inputs[sc] = list
	for _, name := range sortedKeys(sc.inputs) {
		if t := s.input(sc, name, sc.inputs[name], sc.index[name]); t != nil {
			list[name] = t
		}
	}
	return list
}

// input compiles one value that a step gives to its fragment. It returns nil after a fault.
func (s *session) input(sc *scope, name string, v *document.Value, declared *variable) *template {
	typ := declared.Type.Text
	text, ok := flat(v)
	if !ok || (v.Kind == document.List && (typ != "list" || strings.Contains(text, marker))) {
		s.faults.Add(v.Pos, "", "input %q must be a single %s", name, typ)
		return nil
	}
	if strings.Contains(text, marker) {
		return s.typed(v, typ, sc.parent, permission{what: "an input of a fragment", host: sc.user.onHosts() != nil})
	}
	if _, err := declared.value(name, text); err != nil {
		s.faults.Add(v.Pos, "", "%s", err)
		return nil
	}
	return &template{at: v, parts: []compiledPart{{text: text}}}
}

// activation is the values that expressions see, or why there are none.
type activation struct {
	values map[string]any
	err    error
}

// activation is what the expressions of a scope see on a host. host is nil for the cluster.
func (s *session) activation(sc *scope, host *engine.Target) (map[string]any, error) {
	if host != nil {
		return s.activate(sc, host)
	}
	act, known := s.seen[sc]
	if !known {
		act.values, act.err = s.activate(sc, nil)
		s.seen[sc] = act
	}
	return act.values, act.err
}

func (s *session) activate(sc *scope, host *engine.Target) (map[string]any, error) {
	vars := s.vars
	if sc.parent != nil {
		outer, err := s.activation(sc.parent, host)
		if err != nil {
			return nil, err
		}
		if vars, err = s.inputValues(sc, outer); err != nil {
			return nil, err
		}
	}
	act := map[string]any{varsName: s.object(vars)}
	if s.plan.file.Versions != nil {
		act[versionsName] = s.versionsObject()
	}
	if host != nil {
		act[hostName] = s.hosts.object(s.hosts.names[host.Name])
	}
	return act, nil
}

// inputValues are the variables of a fragment: what its user gives, and the defaults of the others.
func (s *session) inputValues(sc *scope, outer map[string]any) (map[string]ref.Val, error) {
	given := s.inputTemplates(sc)
	if len(given) == 0 {
		return sc.defaults, nil
	}
	values := maps.Clone(sc.defaults)
	for _, name := range sortedKeys(given) {
		t := given[name]
		if _, onHost := outer[hostName]; !onHost && !s.known(t, sc.parent) {
			delete(values, name)
			continue // only a host tells, and who needs it is not asked without one
		}
		got, err := t.evaluate(outer)
		if err != nil {
			return nil, err
		}
		text, _ := flat(got)
		if values[name], err = sc.index[name].value(name, text); err != nil {
			return nil, faultAt(t.at.Pos, err.Error())
		}
	}
	return values, nil
}
