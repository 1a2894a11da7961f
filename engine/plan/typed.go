package plan

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"

	"upgrader.dev/upgrader/engine/document"
)

// A permission says what the expressions of a place may name besides vars, versions and hosts().
type permission struct {
	what  string // "with", "timeout", ...: for messages
	host  bool   // the step has hosts
	facts bool   // facts and run: the place is evaluated at run time
	state bool   // run.state: the step is in finally
}

// compile takes a scalar apart and compiles its expressions. It returns nil after a fault.
func (s *session) compile(v *document.Value, env *environment) *template {
	parts, mistake, offset := splitText(v.Text)
	if mistake != "" {
		s.faults.Add(v.At(offset), "", "%s", mistake)
		return nil
	}
	t := &template{at: v}
	for _, p := range parts {
		if !p.expr {
			t.parts = append(t.parts, compiledPart{text: p.text})
			continue
		}
		e := env.compile(p.text, func(o int) document.Pos { return v.At(p.offset + o) }, s.faults)
		if e == nil {
			return nil
		}
		s.hostArgs(e)
		t.parts = append(t.parts, compiledPart{expr: e})
	}
	return t
}

// typed compiles a scalar that must yield a type of the plan language, and checks it as far as it is known.
func (s *session) typed(v *document.Value, typ string, sc *scope, p permission) *template {
	if v.Kind != document.Scalar {
		s.faults.Add(v.Pos, "", "%s must be a single value, this is %s", p.what, v.Kind)
		return nil
	}
	env := s.env(sc)
	if env == nil {
		return nil
	}
	t := s.compile(v, env)
	if t == nil || !s.allowed(t, p) {
		return nil
	}
	if t.static() {
		if _, err := parseAs(typ, v.Text); err != nil {
			s.faults.Add(v.Pos, "", "%s", err)
			return nil
		}
		return t
	}
	if problem := t.misfit(typ); problem != "" {
		s.faults.Add(t.first().at(0), "", "%s %s", p.what, problem)
		return nil
	}
	return t
}

// first is the first expression of the template.
func (t *template) first() *expression {
	for _, p := range t.parts {
		if p.expr != nil {
			return p.expr
		}
	}
	return nil
}

// allowed reports names that mean nothing in this place.
func (s *session) allowed(t *template, p permission) bool {
	ok := true
	for _, part := range t.parts {
		if part.expr != nil {
			ok = s.permitted(part.expr, p) && ok
		}
	}
	return ok
}

func (s *session) permitted(e *expression, p permission) bool {
	before := s.faults.Len()
	if at, used := e.uses[hostName]; used && !p.host {
		s.faults.Add(e.at(at), "give the step hosts", `"host" is known only in steps with hosts`)
	}
	if at, used := e.uses[factsName]; used && !p.facts {
		s.faults.Add(e.at(at), "", "facts are known only while the plan runs; %s must be known before", p.what)
	}
	if at, used := e.uses[runName]; used && !p.facts {
		s.faults.Add(e.at(at), "", "run is known only while the plan runs; %s must be known before", p.what)
	}
	if at, used := e.uses[runState]; used && p.facts && !p.state {
		s.faults.Add(e.at(at), "", "run.state is known only in finally")
	}
	return s.faults.Len() == before
}

// misfit says why the template cannot yield the type, or "".
func (t *template) misfit(typ string) string {
	if t.whole() {
		return misfit(t.parts[0].expr.ast.OutputType(), typ)
	}
	for _, p := range t.parts {
		if p.expr == nil {
			continue
		}
		got := p.expr.ast.OutputType()
		if got.IsExactType(secretType) {
			return "holds a secret among other text; a secret must stand alone, it is resolved at use"
		}
		if why := misfit(got, "string"); why != "" {
			return "holds text and " + typeWords(got) + " together; a list becomes text with .join(', ')"
		}
	}
	switch typ {
	case "bool", "int", "number", "object":
		return "must be " + article(typ) + ", this is text with an expression in it"
	}
	if strings.HasPrefix(typ, "list of ") || strings.HasPrefix(typ, "map of ") {
		return "must be " + article(typ) + ", this is text with an expression in it"
	}
	return ""
}

// misfit compares the type of an expression with the type wanted.
func misfit(got *cel.Type, want string) string {
	fits := true
	isText := got.IsExactType(cel.StringType)
	simple := isText || got.IsExactType(cel.IntType) || got.IsExactType(cel.BoolType) || got.IsExactType(cel.DurationType) ||
		got.IsExactType(cel.DoubleType) || got.IsExactType(secretType)
	switch {
	case got.IsDyn() || want == "any value":
	case want == "bool":
		fits = got.IsExactType(cel.BoolType)
	case want == "int":
		fits = got.IsExactType(cel.IntType)
	case want == "number":
		fits = got.IsExactType(cel.IntType) || got.IsExactType(cel.DoubleType)
	case want == "duration":
		fits = isText || got.IsExactType(cel.DurationType)
	case want == "intOrPercent":
		fits = isText || got.IsExactType(cel.IntType)
	case want == "version":
		fits = isText
	case want == "secret":
		fits = got.IsExactType(secretType)
	case want == "list" || strings.HasPrefix(want, "list of "):
		fits = got.Kind() == cel.ListKind
	case strings.HasPrefix(want, "map of "):
		fits = got.Kind() == cel.MapKind
	case want == "object":
		fits = false
	default:
		fits = simple
	}
	if fits {
		return ""
	}
	return fmt.Sprintf("must be %s, this expression gives %s", article(want), typeWords(got))
}

func article(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return "an " + word
	}
	return "a " + word
}

// typeWords names a type of CEL in the words of the plan language.
func typeWords(t *cel.Type) string {
	switch t.Kind() {
	case cel.StructKind:
		return "the object " + strings.TrimPrefix(t.TypeName(), typePrefix) + " as a whole"
	case cel.ListKind:
		return "a list"
	case cel.MapKind:
		return "a map"
	case cel.DurationKind:
		return "a duration"
	}
	return article(t.TypeName())
}
