package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"upgrader.dev/upgrader/engine/document"
)

// A Var is a variable that a plan declares.
type Var struct {
	Name     string
	Type     string // string, int, bool, duration, intOrPercent, version, list or secret
	Default  string // as text; a list's items are joined by commas
	Required bool   // it has no default
	Doc      string
	Pattern  string
	Enum     []string
}

// words are the names that the expressions of one file may use.
type words struct {
	vars     document.Table[variable]
	index    map[string]*variable
	defaults map[string]ref.Val // of those that have one
	versions bool
}

// A scope is what these names stand for: in the plan, or in one use of a fragment.
type scope struct {
	*words
	parent *scope                     // of the step that uses the fragment
	user   *unit                      // that step
	inputs map[string]*document.Value // what it gives, in the parent's words
}

func (s *words) declared() []Var {
	var list []Var
	for _, e := range s.vars {
		v := Var{Name: e.Name, Type: e.Value.Type.Text, Doc: e.Value.Doc, Pattern: e.Value.Pattern.Text, Required: e.Value.Default == nil}
		if e.Value.Default != nil {
			v.Default, _ = flat(e.Value.Default)
		}
		for _, word := range e.Value.Enum {
			v.Enum = append(v.Enum, word.Text)
		}
		list = append(list, v)
	}
	return list
}

// flat is the text of a scalar, or of a list of scalars joined by commas.
func flat(v *document.Value) (string, bool) {
	if v.Kind == document.Scalar {
		return v.Text, true
	}
	var items []string
	for _, item := range v.Items {
		if item.Kind != document.Scalar {
			return "", false
		}
		items = append(items, item.Text)
	}
	return strings.Join(items, ","), v.Kind == document.List
}

var nameSyntax = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// celWords cannot be names after a dot, says the CEL specification's grammar.
var celWords = []string{"true", "false", "null", "in"}

func newWords(vars document.Table[variable], versions bool, faults *document.Faults) *words {
	w := &words{vars: vars, versions: versions, index: map[string]*variable{}, defaults: map[string]ref.Val{}}
	for i := range vars {
		e := &vars[i]
		if !nameSyntax.MatchString(e.Name) || slices.Contains(celWords, e.Name) {
			faults.Add(e.At, "write letters, digits and _", "%q cannot be the name of a variable", e.Name)
		}
		w.index[e.Name] = &e.Value
		if v := e.Value.check(e.Name, faults); v != nil {
			w.defaults[e.Name] = v
		}
	}
	return w
}

// check looks at a declaration: that its pattern compiles and that its default and its words fit its type. It returns the
// value of the default.
func (v *variable) check(name string, faults *document.Faults) ref.Val {
	if _, err := regexp.Compile(v.Pattern.Text); err != nil {
		faults.Add(v.Pattern.Pos, "see the syntax of RE2", "%s", strings.TrimPrefix(err.Error(), "error parsing "))
		return nil
	}
	for _, word := range v.Enum {
		if _, err := parseAs(v.Type.Text, word.Text); err != nil {
			faults.Add(word.Pos, "", "%s", err)
		}
	}
	if v.Default == nil {
		return nil
	}
	text, ok := flat(v.Default)
	switch {
	case !ok, v.Default.Kind == document.List && v.Type.Text != "list":
		faults.Add(v.Default.Pos, "", "the default of a %s must be a single value, this is %s", v.Type.Text, v.Default.Kind)
	case strings.Contains(text, marker):
		faults.Add(v.Default.Pos, "use the expression where the variable is used", "a default takes no expression")
	default:
		value, err := v.value(name, text)
		if err == nil {
			return value
		}
		faults.Add(v.Default.Pos, "", "%s", err)
	}
	return nil
}

// value checks a text against the declaration and makes it a value of expressions.
func (v *variable) value(name, text string) (ref.Val, error) {
	value, err := parseAs(v.Type.Text, text)
	if err != nil {
		return nil, err
	}
	if strings.Contains(text, marker) {
		return nil, fmt.Errorf("a value may not hold %s: it would be taken for an expression", marker)
	}
	if len(v.Enum) > 0 && !slices.ContainsFunc(v.Enum, func(w document.Text) bool { return w.Text == text }) {
		var known []string
		for _, w := range v.Enum {
			known = append(known, w.Text)
		}
		return nil, fmt.Errorf("%q is not a value of %s: %s", text, name, strings.Join(known, ", "))
	}
	if re, err := regexp.Compile(`^(?:` + v.Pattern.Text + `)$`); v.Pattern.Text != "" && err == nil && !re.MatchString(text) {
		return nil, fmt.Errorf("%q does not match the pattern %s of %s", text, v.Pattern.Text, name)
	}
	return value, nil
}

var (
	versionSyntax = regexp.MustCompile(`^v?(\d+\.\d+(?:\.\d+)?(?:-[0-9A-Za-z.-]+)?)$`)
	secretSyntax  = regexp.MustCompile(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$`)
)

// parseAs reads a text as a type of the plan language.
func parseAs(typ, text string) (ref.Val, error) {
	switch typ {
	case "int":
		n, err := document.ParseInt(text)
		return types.Int(n), err
	case "bool":
		b, err := document.ParseBool(text)
		return types.Bool(b), err
	case "duration":
		d, err := document.ParseDuration(text)
		return types.Duration{Duration: d}, err
	case "intOrPercent":
		var i document.IntOrPercent
		err := i.UnmarshalText([]byte(text))
		return types.String(i.String()), err
	case "version":
		m := versionSyntax.FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("%s is not a version; write it like 1.28.15", strconv.Quote(text))
		}
		return types.String(m[1]), nil
	case "list":
		items := []string{}
		if text != "" {
			items = strings.Split(text, ",")
		}
		return types.NewStringList(types.DefaultTypeAdapter, items), nil
	case "secret":
		if !secretSyntax.MatchString(text) {
			return nil, fmt.Errorf("a secret is named, not written: env:NAME or file:PATH")
		}
		return &object{secretType.TypeName(), map[string]ref.Val{"reference": types.String(text)}}, nil
	}
	return types.String(text), nil
}

// celType is the type of a variable in expressions.
func celType(typ string) *cel.Type {
	switch typ {
	case "int":
		return cel.IntType
	case "bool":
		return cel.BoolType
	case "duration":
		return cel.DurationType
	case "list":
		return cel.ListType(cel.StringType)
	case "secret":
		return secretType
	}
	return cel.StringType
}

// objects are the types of vars and versions in this scope.
func (s *words) objects() []objectType {
	vars := objectType{varsName, map[string]*cel.Type{}}
	for _, e := range s.vars {
		vars.fields[e.Name] = celType(e.Value.Type.Text)
	}
	versions := objectType{versionsName, map[string]*cel.Type{}}
	if s.versions {
		versions.fields = map[string]*cel.Type{"from": cel.StringType, "to": cel.StringType, "minor": cel.StringType}
	}
	return []objectType{vars, versions}
}

// fragment makes the scope of a fragment's steps: its own variables, given by the step that uses it.
func (s *scope) fragment(w *words, user *unit, faults *document.Faults) *scope {
	in := &scope{words: w, parent: s, user: user, inputs: map[string]*document.Value{}}
	given := user.With
	if given != nil && given.Kind != document.Map {
		faults.Add(given.Pos, "", `"with" must be a mapping (key: value), this is %s`, given.Kind)
		given = nil
	}
	if given != nil {
		for _, m := range given.Members {
			if w.index[m.Key] == nil {
				faults.Add(m.At, document.Suggest(m.Key, sortedKeys(w.index)), "%s has no input %q", user.Uses.Text, m.Key)
				continue
			}
			in.inputs[m.Key] = m.Value
		}
	}
	for _, e := range w.vars {
		if e.Value.Default == nil && in.inputs[e.Name] == nil {
			faults.Add(user.Uses.Pos, "give it under with", "%s needs the input %q", user.Uses.Text, e.Name)
		}
	}
	return in
}
