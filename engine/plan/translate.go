package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"

	"upgrader.dev/upgrader/engine/document"
)

// translator turns CEL's errors into faults: in the words of the plan language, right to the column, with suggestions.
type translator struct {
	env    *environment
	text   string
	at     func(int) document.Pos
	faults *document.Faults
	ast    *ast.AST // nil if it did not parse
}

var (
	celUndeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	celField      = regexp.MustCompile(`^undefined field '([^']*)'`)
	celOverload   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	celOperator   = regexp.MustCompile(`^_?([^_a-zA-Z]+)_?$`)
	celName       = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_.]*\s*$`)
)

func (t *translator) all(errs []*common.Error) {
	for _, e := range errs {
		t.one(e, offsetOf(t.text, e.Location))
	}
}

func (t *translator) one(e *common.Error, offset int) {
	if m := celUndeclared.FindStringSubmatch(e.Message); m != nil {
		t.undeclared(m[1], offset)
		return
	}
	if m := celField.FindStringSubmatch(e.Message); m != nil {
		t.field(e.ExprID, m[1], offset)
		return
	}
	if m := celOverload.FindStringSubmatch(e.Message); m != nil {
		t.faults.Add(t.at(t.nameBefore(offset)), "", "%s", overload(m[1], m[2]))
		return
	}
	msg, _, _ := strings.Cut(e.Message, " expecting ")
	msg = strings.TrimPrefix(msg, "Syntax error: ")
	if strings.HasPrefix(msg, "mismatched input '<EOF>'") {
		msg = "it ends too early"
	}
	msg = strings.ReplaceAll(msg, "'<EOF>'", "the end")
	t.faults.Add(t.at(offset), "", "not a CEL expression: %s", msg)
}

// undeclared reports a name that does not exist. CEL points at the parenthesis of a call; the name stands before it.
func (t *translator) undeclared(name string, offset int) {
	if strings.HasPrefix(t.text[offset:], "(") {
		t.faults.Add(t.at(t.nameBefore(offset)), document.Suggest(name, []string{hostsName, "size", "has", "string", "int", "duration"}),
			"there is no function %q", name)
		return
	}
	if known, meant := reserved[name]; meant && !slices.Contains(t.env.idents, name) {
		t.faults.Add(t.at(offset), "", "%s", known)
		return
	}
	t.faults.Add(t.at(offset), document.Suggest(name, t.env.idents), "there is no %q here", name)
}

// reserved are names that exist somewhere else.
var reserved = map[string]string{
	errorName: `"error" is known in retry.on only`,
	varsName:  `"vars" is not known here`,
	hostName:  `"host" is not known here`,
	factsName: `"facts" are not known here`,
	runName:   `"run" is not known here`,
}

// nameBefore steps back from the parenthesis of a call to the name of the function.
func (t *translator) nameBefore(offset int) int {
	if !strings.HasPrefix(t.text[offset:], "(") {
		return offset
	}
	m := celName.FindStringIndex(t.text[:offset])
	if m == nil {
		return offset
	}
	if dot := strings.LastIndexByte(t.text[m[0]:m[1]], '.'); dot >= 0 {
		return m[0] + dot + 1
	}
	return m[0]
}

// field reports a field that does not exist. CEL points at the dot; the name stands after it.
func (t *translator) field(id int64, name string, offset int) {
	if i := strings.Index(t.text[offset:], name); i >= 0 {
		offset += i
	}
	owner := t.owner(id)
	o, known := t.env.objects[owner]
	switch {
	case !known:
		t.faults.Add(t.at(offset), document.Suggest(name, sortedKeys(hostType.fields)), "there is no field %q here", name)
	case owner == versionsName && len(o.fields) == 0:
		t.faults.Add(t.at(offset), "give it versions: {from: ..., to: ...}", "the plan has no versions")
	case owner == varsName && len(o.fields) == 0:
		t.faults.Add(t.at(offset), "declare it under vars", "there is no variable %q", name)
	case owner == varsName:
		t.faults.Add(t.at(offset), document.Suggest(name, slices.Collect(maps.Keys(o.fields))), "there is no variable %q", name)
	default:
		t.faults.Add(t.at(offset), document.Suggest(name, slices.Collect(maps.Keys(o.fields))), "%s has no field %q", owner, name)
	}
}

// owner finds the name before the dot of a field selection.
func (t *translator) owner(id int64) string {
	owner := ""
	ast.PreOrderVisit(t.ast.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.ID() == id && x.Kind() == ast.SelectKind && x.AsSelect().Operand().Kind() == ast.IdentKind {
			owner = x.AsSelect().Operand().AsIdent()
		}
	}))
	return owner
}

// overload says which operator or function does not take which types.
func overload(name, args string) string {
	args = strings.NewReplacer("google.protobuf.Duration", "duration", typePrefix, "").Replace(args)
	if m := celOperator.FindStringSubmatch(name); m != nil {
		two := strings.SplitN(strings.Trim(args, "()"), ", ", 2)
		if len(two) == 2 {
			return fmt.Sprintf("%s and %s do not go together with %s", two[0], two[1], m[1])
		}
		return fmt.Sprintf("%s does not take %s", m[1], args)
	}
	if name == "_[_]" {
		return "this cannot be indexed like that: " + args
	}
	return fmt.Sprintf("%s() does not take %s", name, args)
}
