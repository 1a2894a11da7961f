package machine

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The interpreter springs a trap on EXIT when the script ends, but not when a subshell does, and what jobs run are
// subshells. springTraps writes the trap out where a subshell that has one ends: at its exits, and at its end. What it
// cannot see is a subshell that set -e ends.
func springTraps(file *syntax.File) {
	syntax.Walk(file, func(n syntax.Node) bool {
		if sub, ok := n.(*syntax.Subshell); ok {
			springTrap(sub)
		}
		return true
	})
}

func springTrap(sub *syntax.Subshell) {
	for _, s := range sub.Stmts {
		if !isExitTrap(s) {
			continue
		}
		call := s.Cmd.(*syntax.CallExpr)
		s.Cmd = assign("_pretend_trap", call.Args[1])
		for _, after := range sub.Stmts {
			springAtExits(after)
		}
		sub.Stmts = append(sub.Stmts, &syntax.Stmt{Position: s.Position, Cmd: block(ending(lastStatus()))})
		return
	}
}

// isExitTrap says whether a statement is `trap SOMETHING EXIT`.
func isExitTrap(s *syntax.Stmt) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	return ok && len(call.Args) == 3 && call.Args[0].Lit() == "trap" && call.Args[2].Lit() == "EXIT" && call.Args[1].Lit() != "-"
}

// springAtExits puts the trap before every exit that ends the subshell itself, also in the functions that it defines.
func springAtExits(s *syntax.Stmt) {
	syntax.Walk(s, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Subshell, *syntax.CmdSubst:
			return false
		case *syntax.Stmt:
			call, ok := n.Cmd.(*syntax.CallExpr)
			if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "exit" {
				return true
			}
			status := lastStatus()
			if len(call.Args) > 1 {
				status = call.Args[1]
			}
			n.Cmd = block(ending(status))
			return false
		}
		return true
	})
}

// endText runs the trap, with the status as $?, and ends the subshell. The trap is empty as long as none is set.
const endText = `if __status "$_pretend_exit"; then eval "${_pretend_trap-}"; else eval "${_pretend_trap-}"; fi
exit "$_pretend_exit"`

func ending(status *syntax.Word) []*syntax.Stmt {
	end, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(endText), "")
	if err != nil {
		panic("machine: " + err.Error())
	}
	return append([]*syntax.Stmt{{Cmd: assign("_pretend_exit", status)}}, end.Stmts...)
}

func assign(name string, value *syntax.Word) *syntax.CallExpr {
	return &syntax.CallExpr{Assigns: []*syntax.Assign{{Name: &syntax.Lit{Value: name}, Value: value}}}
}

func lastStatus() *syntax.Word {
	return &syntax.Word{Parts: []syntax.WordPart{&syntax.ParamExp{Short: true, Param: &syntax.Lit{Value: "?"}}}}
}
