package plan

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"

	"upgrader.dev/upgrader/engine/document"
)

// compiled is CEL that was parsed and type-checked, wherever it is written.
type compiled struct {
	text string
	ast  *cel.Ast
	env  *environment
	uses map[string]int  // the names it refers to, such as vars or facts, and the offset of the first of each
	vars map[string]bool // the variables it refers to
	args []hostArg       // the literal arguments of hosts()

	program, partial cel.Program       // made when first evaluated
	rests            map[string]string // what was left of it before, as pruned and as CEL writes it
	kept             map[string]bool   // what was left and can be evaluated by the run
}

// An expression is compiled CEL in its place.
type expression struct {
	*compiled
	at func(offset int) document.Pos
}

// A hostArg is a pattern that stands in an expression.
type hostArg struct {
	text   string
	offset int
}

// on says that the expression refers to one of these names.
func (c *compiled) on(names ...string) bool {
	for _, n := range names {
		if _, ok := c.uses[n]; ok {
			return true
		}
	}
	return false
}

// open says that only a run can tell what the expression yields.
func (c *compiled) open() bool { return c.on(factsName, runName) }

// compile parses and type-checks, the same text once. On a mistake it returns nil and every fault is recorded at its
// column.
func (env *environment) compile(text string, at func(int) document.Pos, faults *document.Faults) *expression {
	if c, known := env.compiled[text]; known {
		return &expression{c, at}
	}
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
	c := &compiled{text: text, ast: checked, env: env, uses: map[string]int{}, vars: map[string]bool{}, rests: map[string]string{}, kept: map[string]bool{}}
	c.collect()
	env.compiled[text] = c
	return &expression{c, at}
}

// collect finds out what the expression refers to.
func (c *compiled) collect() {
	tree := c.ast.NativeRep()
	use := func(name string, at ast.Expr) {
		if _, seen := c.uses[name]; !seen {
			c.uses[name] = offsetOf(c.text, tree.SourceInfo().GetStartLocation(at.ID()))
		}
	}
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.IdentKind:
			use(x.AsIdent(), x)
		case ast.SelectKind:
			s := x.AsSelect()
			if s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == varsName {
				c.vars[s.FieldName()] = true
			} else if s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == runName && s.FieldName() == "state" {
				use(runState, s.Operand())
			}
		case ast.CallKind:
			if call := x.AsCall(); call.FunctionName() == hostsName && len(call.Args()) == 1 {
				use(hostsName, call.Args()[0])
				c.hostArg(call.Args()[0])
			}
		}
	}))
}

func (c *compiled) hostArg(arg ast.Expr) {
	if arg.Kind() != ast.LiteralKind {
		return
	}
	if s, ok := arg.AsLiteral().Value().(string); ok {
		c.args = append(c.args, hostArg{s, offsetOf(c.text, c.ast.NativeRep().SourceInfo().GetStartLocation(arg.ID()))})
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
	col := 0
	for i := range text[offset:] {
		if col >= loc.Column() {
			return offset + i
		}
		col++
	}
	return len(text)
}
