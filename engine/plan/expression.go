package plan

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"

	"upgrader.dev/upgrader/engine/document"
)

// An expression is compiled CEL and where it is written.
type expression struct {
	text string
	at   func(offset int) document.Pos
	ast  *cel.Ast
	env  *environment
	uses map[string]document.Pos // the names it refers to, such as vars or facts, and where first
	vars map[string]bool         // the variables it refers to
	args []hostArg               // the literal arguments of hosts()

	program, partial cel.Program       // made when first evaluated
	rests            map[string]string // what was left of it before, as pruned and as CEL writes it
	kept             map[string]bool   // what was left and can be evaluated by the run
}

// A hostArg is a pattern that stands in an expression.
type hostArg struct {
	text string
	at   document.Pos
}

// on says that the expression refers to one of these names.
func (e *expression) on(names ...string) bool {
	for _, n := range names {
		if _, ok := e.uses[n]; ok {
			return true
		}
	}
	return false
}

// open says that only a run can tell what the expression yields.
func (e *expression) open() bool { return e.on(factsName, runName) }

// compile parses and type-checks. On a mistake it returns nil and every fault is recorded at its column.
func (env *environment) compile(text string, at func(int) document.Pos, faults *document.Faults) *expression {
	if len(text) > maxExpression {
		faults.Add(at(0), "move a part of it into the runbook's structure", "the expression is longer than %d characters", maxExpression)
		return nil
	}
	parsed, issues := env.cel.Parse(text)
	if issues.Err() != nil {
		t := &translator{env: env, text: text, at: at, faults: faults}
		t.all(issues.Errors()[:1]) // what follows a syntax error is noise
		return nil
	}
	checked, issues := env.cel.Check(parsed)
	if issues.Err() != nil {
		t := &translator{env: env, text: text, at: at, faults: faults, ast: parsed.NativeRep()}
		t.all(issues.Errors())
		return nil
	}
	e := &expression{text: text, at: at, ast: checked, env: env, uses: map[string]document.Pos{}, vars: map[string]bool{},
		rests: map[string]string{}, kept: map[string]bool{}}
	e.collect()
	return e
}

// collect finds out what the expression refers to.
func (e *expression) collect() {
	tree := e.ast.NativeRep()
	place := func(id int64) document.Pos {
		loc := tree.SourceInfo().GetStartLocation(id)
		return e.at(offsetOf(e.text, loc))
	}
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.IdentKind:
			if _, seen := e.uses[x.AsIdent()]; !seen {
				e.uses[x.AsIdent()] = place(x.ID())
			}
		case ast.SelectKind:
			if s := x.AsSelect(); s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == varsName {
				e.vars[s.FieldName()] = true
			} else if s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == runName && s.FieldName() == "state" {
				e.uses[runState] = place(s.Operand().ID())
			}
		case ast.CallKind:
			if c := x.AsCall(); c.FunctionName() == hostsName && len(c.Args()) == 1 {
				e.hostCall(c.Args()[0], place)
			}
		}
	}))
}

func (e *expression) hostCall(arg ast.Expr, place func(int64) document.Pos) {
	at := place(arg.ID())
	if _, seen := e.uses[hostsName]; !seen {
		e.uses[hostsName] = at
	}
	if arg.Kind() == ast.LiteralKind {
		if s, ok := arg.AsLiteral().Value().(string); ok {
			e.args = append(e.args, hostArg{s, at})
		}
	}
}

// offsetOf turns CEL's place (line from 1, column in characters from 0) into a byte offset.
func offsetOf(text string, loc common.Location) int {
	offset := 0
	for range loc.Line() - 1 {
		i := strings.IndexByte(text[offset:], '\n')
		if i < 0 {
			break
		}
		offset += i + 1
	}
	for i := range text[offset:] {
		if col := loc.Column(); len([]rune(text[offset:offset+i])) >= col {
			return offset + i
		}
	}
	return len(text)
}
