package plan

import (
	"fmt"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"upgrader.dev/upgrader/engine/document"
)

// A template is a string with compiled expressions.
type template struct {
	at    *document.Value
	parts []compiledPart
}

type compiledPart struct {
	text string
	expr *expression // nil for literal text
}

// whole says that the template is one expression and nothing else: it then yields any type, not only text.
func (t *template) whole() bool { return len(t.parts) == 1 && t.parts[0].expr != nil }

// static says that the template holds no expression at all.
func (t *template) static() bool {
	for _, p := range t.parts {
		if p.expr != nil {
			return false
		}
	}
	return true
}

// uses says that an expression of the template names one of these.
func (t *template) uses(names ...string) bool {
	for _, p := range t.parts {
		if p.expr != nil && p.expr.on(names...) {
			return true
		}
	}
	return false
}

// evaluate fills in everything that can be known before the run. What cannot stays in the text as an expression.
func (t *template) evaluate(act map[string]any) (*document.Value, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.expr == nil {
			b.WriteString(p.text)
			continue
		}
		value, rest, err := p.expr.evaluate(act)
		if err != nil {
			return nil, faultAt(p.expr.at(0), err.Error())
		}
		if rest != "" {
			b.WriteString(marker + " " + rest + " }}")
			continue
		}
		v, err := valueOf(t.at.Pos, value)
		if err != nil {
			return nil, faultAt(p.expr.at(0), err.Error())
		}
		if t.whole() {
			return v, nil
		}
		if v.Kind != document.Scalar {
			return nil, faultAt(p.expr.at(0), "a list or a mapping cannot stand inside text")
		}
		b.WriteString(v.Text)
	}
	return document.NewText(t.at.Pos, b.String()), nil
}

// evaluate yields a value, or the text of what is left of the expression when it depends on what only a run knows.
func (e *expression) evaluate(act map[string]any) (ref.Val, string, error) {
	if !e.open() {
		if e.program == nil {
			p, err := e.env.cel.Program(e.ast, cel.CostLimit(maxCost))
			if err != nil {
				return nil, "", err
			}
			e.program = p
		}
		v, _, err := e.program.Eval(act)
		return v, "", plainError(err)
	}
	return e.reduce(act)
}

// reduce evaluates what it can of an expression that depends on the run.
func (e *expression) reduce(act map[string]any) (ref.Val, string, error) {
	if e.partial == nil {
		p, err := e.env.cel.Program(e.ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptTrackState, cel.OptPartialEval))
		if err != nil {
			return nil, "", err
		}
		e.partial = p
	}
	vars, err := cel.PartialVars(act, cel.AttributePattern(factsName), cel.AttributePattern(runName))
	if err != nil {
		return nil, "", err
	}
	v, details, err := e.partial.Eval(vars)
	if err != nil {
		return nil, "", plainError(err)
	}
	if !types.IsUnknown(v) {
		return v, "", nil
	}
	text, err := e.rest(details)
	if err != nil {
		return nil, "", fmt.Errorf("keeping the rest of the expression for the run: %w", err)
	}
	text = fillIn(text, act)
	return nil, text, e.keeps(text)
}

// rest is the text of what could not be evaluated. Most hosts leave the same of an expression; that is put into CEL's own
// words once.
func (e *expression) rest(details *cel.EvalDetails) (string, error) {
	tree := e.ast.NativeRep()
	pruned := interpreter.PruneAst(tree.Expr(), tree.SourceInfo().MacroCalls(), details.State())
	rough, err := cel.ExprToString(pruned.Expr(), pruned.SourceInfo())
	if err != nil {
		return "", err
	}
	if text, known := e.rests[rough]; known {
		return text, nil
	}
	parsed, issues := e.env.cel.Parse(rough)
	if issues.Err() != nil {
		return "", issues.Err()
	}
	text, err := cel.AstToString(parsed)
	if err == nil {
		e.rests[rough] = text
	}
	return text, err
}

// keeps makes sure that the run can evaluate what is left.
func (e *expression) keeps(text string) error {
	if e.kept[text] {
		return nil
	}
	env, err := e.env.atRun()
	if err != nil {
		return err
	}
	faults := &document.Faults{}
	if env.compile(text, func(int) document.Pos { return document.Pos{} }, faults) == nil {
		return fmt.Errorf("hosts() or vars are used together with facts in a way that cannot be kept for the run; use a step of its own for each")
	}
	e.kept[text] = true
	return nil
}

// plainError takes CEL's decoration off an error of evaluation.
func plainError(err error) error {
	if err == nil {
		return nil
	}
	msg := err.Error()
	if key, ok := strings.CutPrefix(msg, "no such key: "); ok {
		return fmt.Errorf("there is no %q in this map; ask first whether %q in it", key, key)
	}
	if strings.Contains(msg, "cost limit exceeded") {
		return fmt.Errorf("the expression takes too long")
	}
	return fmt.Errorf("%s", msg)
}

// valueOf turns what an expression yields into what could have been written instead.
func valueOf(at document.Pos, v ref.Val) (*document.Value, error) {
	switch x := v.(type) {
	case types.String:
		if strings.Contains(string(x), marker) {
			return nil, fmt.Errorf("the value holds %s, which would be taken for an expression", marker)
		}
		return document.NewText(at, string(x)), nil
	case types.Int, types.Uint, types.Bool:
		return document.NewText(at, fmt.Sprint(x.Value())), nil
	case types.Double:
		return document.NewText(at, strconv.FormatFloat(float64(x), 'f', -1, 64)), nil
	case types.Duration:
		return document.NewText(at, x.String()), nil
	case *object:
		if text, ok := x.fields["reference"].(types.String); ok && x.typ == secretType.TypeName() {
			return document.NewText(at, string(text)), nil
		}
		return nil, fmt.Errorf("%s is not a value; name one of its fields", x.typ)
	case traits.Lister:
		return listOf(at, x)
	case traits.Mapper:
		return mapOf(at, x)
	}
	return nil, fmt.Errorf("a %s cannot stand here", v.Type().TypeName())
}

func listOf(at document.Pos, list traits.Lister) (*document.Value, error) {
	out := &document.Value{Pos: at, Kind: document.List}
	for it := list.Iterator(); it.HasNext() == types.True; {
		v, err := valueOf(at, it.Next())
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, v)
	}
	return out, nil
}

func mapOf(at document.Pos, m traits.Mapper) (*document.Value, error) {
	found := map[string]*document.Value{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, fmt.Errorf("a key must be a string, this is a %s", key.Type().TypeName())
		}
		v, err := valueOf(at, m.Get(key))
		if err != nil {
			return nil, err
		}
		found[string(name)] = v
	}
	out := &document.Value{Pos: at, Kind: document.Map}
	for _, name := range sortedKeys(found) {
		out.Members = append(out.Members, document.Member{Key: name, At: at, Value: found[name]})
	}
	return out, nil
}
