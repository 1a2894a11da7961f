package plan

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// NewBinder returns the binder of nodes that a plan was expanded to. It is also an engine.Retrier. It holds no state
// that changes and is safe for concurrent use.
func NewBinder(c *engine.Catalog) engine.Binder { return &binder{c} }

type binder struct{ catalog *engine.Catalog }

// Bind evaluates what Expand left open and makes the step. Values that before holds are taken from there; facts may be nil.
func (b *binder) Bind(n *engine.Node, facts engine.Known, before map[string]string) (engine.Bound, error) {
	kind, err := kindOf(b.catalog, n)
	if err != nil {
		return engine.Bound{}, err
	}
	if facts == nil {
		facts = engine.Facts{}
	}
	w := &binding{node: n, before: before, facts: &factMap{known: facts}, bound: engine.Bound{Values: map[string]string{}}}
	if err := w.when(); err != nil || w.bound.Skip || w.bound.Unknown != "" {
		return w.bound, err
	}
	tree, err := w.with()
	if err != nil || w.bound.Unknown != "" {
		return w.bound, err
	}
	step := kind.New()
	if err := tree.Decode(step, document.Hooks{}); err != nil {
		return w.bound, fmt.Errorf("%s: %w", n.ID, err)
	}
	if err := validateStep(step); err != nil {
		return w.bound, fmt.Errorf("%s: %s: %w", n.ID, n.Kind, err)
	}
	w.bound.Step = step
	return w.bound, nil
}

// Retry evaluates retry.on over a failure. Without one, nothing more than the engine's own rule applies.
func (b *binder) Retry(n *engine.Node, failure error) (bool, error) {
	if n.Retry.On == "" {
		return false, nil
	}
	env, err := retryEnvironment()
	if err != nil {
		return false, err
	}
	faults := &document.Faults{}
	e := env.compile(n.Retry.On, func(int) document.Pos { return document.Pos{File: n.ID + ": retry.on"} }, faults)
	if e == nil {
		return false, faults.Err()
	}
	v, _, err := e.evaluate(map[string]any{errorName: errorObject(failure)})
	if err != nil {
		return false, fmt.Errorf("%s: retry.on: %w", n.ID, err)
	}
	return v.Value() == true, nil
}

// errorObject is a failure as retry.on sees it. The exit code is -1 when no program ended with one.
func errorObject(failure error) *object {
	code := -1
	if coded, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](failure); ok {
		code = coded.ExitCode()
	}
	_, transient := errors.AsType[*engine.TransientError](failure)
	return &object{errorName, map[string]ref.Val{
		"message": types.String(failure.Error()), "exitCode": types.Int(code), "transient": types.Bool(transient)}}
}

// binding is one Bind.
type binding struct {
	node   *engine.Node
	before map[string]string
	facts  *factMap
	env    *environment
	bound  engine.Bound
}

func (w *binding) when() error {
	switch w.node.When {
	case "":
		return nil
	case engine.Never:
		w.bound.Skip = true
		return nil
	}
	v, err := w.evaluate(w.node.When)
	if err != nil || w.bound.Unknown != "" {
		return err
	}
	w.bound.Skip = v.Text != "true"
	return nil
}

// with fills in the expressions that are left in the settings.
func (w *binding) with() (*document.Value, error) {
	v, err := settingsOf(w.node)
	if err != nil {
		return nil, err
	}
	var first error
	out := v.Map(func(path string, s *document.Value) *document.Value {
		if first != nil || w.bound.Unknown != "" || !strings.Contains(s.Text, marker) {
			return s
		}
		filled, err := w.fill(s)
		if err != nil {
			first = fmt.Errorf("%s: with.%s: %w", w.node.ID, path, err)
			return s
		}
		return filled
	})
	return out, first
}

// fill evaluates the expressions of one string.
func (w *binding) fill(s *document.Value) (*document.Value, error) {
	parts, mistake, _ := splitText(s.Text)
	if mistake != "" {
		return nil, errors.New(mistake)
	}
	var b strings.Builder
	for _, p := range parts {
		if !p.expr {
			b.WriteString(p.text)
			continue
		}
		v, err := w.evaluate(p.text)
		if err != nil || w.bound.Unknown != "" {
			return s, err
		}
		if len(parts) == 1 {
			return v, nil
		}
		text, ok := flat(v)
		if !ok {
			return nil, fmt.Errorf("%s: a mapping cannot stand inside text", p.text)
		}
		b.WriteString(text)
	}
	return document.NewText(s.Pos, b.String()), nil
}

// evaluate yields the value of an expression: the one journaled, or a new one.
func (w *binding) evaluate(text string) (*document.Value, error) {
	if old, ok := w.before[text]; ok {
		w.bound.Values[text] = old
		return document.NewText(document.Pos{}, old), nil
	}
	v, err := w.value(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	if types.IsUnknown(v) || w.facts.missing != "" && v == nil {
		w.bound.Unknown = w.facts.missing
		return nil, nil
	}
	out, err := valueOf(document.Pos{}, v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	if out.Kind == document.Scalar {
		w.bound.Values[text] = out.Text
	}
	return out, nil
}

func (w *binding) value(text string) (ref.Val, error) {
	if w.env == nil {
		env, err := runEnvironment()
		if err != nil {
			return nil, err
		}
		w.env = env
	}
	faults := &document.Faults{}
	e := w.env.compile(text, func(int) document.Pos { return document.Pos{File: w.node.At} }, faults)
	if e == nil {
		return nil, faults.Err()
	}
	program, err := w.env.cel.Program(e.ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptPartialEval))
	if err != nil {
		return nil, err
	}
	w.facts.missing = ""
	v, _, err := program.Eval(map[string]any{factsName: w.facts, hostName: hostObject(w.node.Target), runName: w.run(e)})
	if err != nil && w.facts.missing != "" {
		return nil, nil // an error because of what is not known yet is no error
	}
	return v, plainError(err)
}

// run is the object run, of the facts that the engine gives.
func (w *binding) run(e *expression) *object {
	o := &object{runName, map[string]ref.Val{}}
	for field, fact := range map[string]string{"id": engine.FactRunID, "state": engine.FactRunState} {
		if v, ok := w.facts.known.Fact(fact); ok {
			o.fields[field] = types.String(v)
		} else if strings.Contains(e.text, "run."+field) {
			w.facts.miss(fact)
			o.fields[field] = types.NewUnknown(0, nil)
		}
	}
	return o
}

// factMap is the map facts of expressions. To ask for a fact that is not there yet yields an unknown value, which
// `||` and `&&` can still decide, and is remembered. Only an expression that goes over all facts has them copied.
type factMap struct {
	known   engine.Known
	whole   traits.Mapper
	missing string // the first that was asked for in vain
}

// all is every fact as a plain map.
func (f *factMap) all() traits.Mapper {
	if f.whole == nil {
		f.whole = types.NewStringStringMap(types.DefaultTypeAdapter, f.known.All())
	}
	return f.whole
}

// ConvertToNative is of ref.Val.
func (f *factMap) ConvertToNative(t reflect.Type) (any, error) { return f.all().ConvertToNative(t) }

// ConvertToType is of ref.Val.
func (f *factMap) ConvertToType(t ref.Type) ref.Val { return f.all().ConvertToType(t) }

// Equal is of ref.Val.
func (f *factMap) Equal(other ref.Val) ref.Val { return f.all().Equal(other) }

// Type is of ref.Val.
func (f *factMap) Type() ref.Type { return types.MapType }

// Value is of ref.Val.
func (f *factMap) Value() any { return f.all().Value() }

// Iterator goes over the names of facts.
func (f *factMap) Iterator() traits.Iterator { return f.all().Iterator() }

// Size is the number of facts.
func (f *factMap) Size() ref.Val { return f.all().Size() }

func (f *factMap) miss(key string) ref.Val {
	if f.missing == "" {
		f.missing = key
	}
	return types.NewUnknown(1, types.NewAttributeTrail(factsName))
}

// Get returns a fact.
func (f *factMap) Get(key ref.Val) ref.Val {
	v, _ := f.Find(key)
	return v
}

// Find returns a fact, an unknown value if it is not there.
func (f *factMap) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.NewErr("a fact is named by a string"), true
	}
	if v, ok := f.known.Fact(string(name)); ok {
		return types.String(v), true
	}
	return f.miss(string(name)), true
}

// Contains says that a fact is there; whether one will be is unknown.
func (f *factMap) Contains(key ref.Val) ref.Val {
	if v, _ := f.Find(key); types.IsUnknown(v) {
		return v
	}
	return types.True
}
