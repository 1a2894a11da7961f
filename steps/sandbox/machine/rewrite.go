package machine

import (
	"context"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// pidVar stands for $$, which the interpreter would answer with the real process's ID, and ppidVar likewise.
const (
	pidVar  = "_pretend_pid"
	ppidVar = "_pretend_ppid"
)

// writtenOver stands before the path of a file that is opened with 1<>: it is written over from its beginning.
const writtenOver = "/dev/over/"

// rewrite changes a script into one that the interpreter runs as dash would, and returns the functions it defines.
// The interpreter knows no file descriptors above 2, runs the last part of a pipeline in the shell itself, and answers
// $$ with the ID of the real process.
func rewrite(file *syntax.File) map[string]bool {
	springTraps(file)
	funcs, done := map[string]bool{}, map[*syntax.Subshell]bool{}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl:
			funcs[n.Name.Value] = true
		case *syntax.ParamExp:
			if n.Param != nil && n.Param.Value == "$" {
				n.Param = &syntax.Lit{Value: pidVar}
			} else if n.Param != nil && n.Param.Value == "PPID" {
				n.Param = &syntax.Lit{Value: ppidVar}
			}
		case *syntax.BinaryCmd:
			if n.Op == syntax.Pipe {
				n.Y = subshell(n.Y)
			}
		case *syntax.Stmt:
			rewriteStmt(n, done)
		case *syntax.Assign:
			unescape(n.Value)
		case *syntax.CaseClause:
			unescape(n.Word)
		case *syntax.Redirect:
			if n.Op == syntax.RdrInOut && n.N != nil && n.N.Value == "1" {
				n.Op = syntax.AppOut // which the interpreter knows
				n.Word.Parts = append(lit(writtenOver).Parts, n.Word.Parts...)
			}
			if n.Op != syntax.Hdoc && n.Op != syntax.DashHdoc {
				unescape(n.Word)
			}
		}
		return true
	})
	return funcs
}

// unescape turns what a backslash quotes in a word into a quoted part: where a word is not split into fields, the
// interpreter leaves the backslash in it.
func unescape(w *syntax.Word) {
	if w == nil {
		return
	}
	var parts []syntax.WordPart
	for _, part := range w.Parts {
		l, ok := part.(*syntax.Lit)
		if !ok || !strings.Contains(l.Value, `\`) {
			parts = append(parts, part)
			continue
		}
		rest := l.Value
		for rest != "" {
			at := strings.IndexByte(rest, '\\')
			if at < 0 || at+1 == len(rest) {
				parts = append(parts, &syntax.Lit{ValuePos: l.ValuePos, ValueEnd: l.ValueEnd, Value: rest})
				break
			}
			if at > 0 {
				parts = append(parts, &syntax.Lit{ValuePos: l.ValuePos, ValueEnd: l.ValueEnd, Value: rest[:at]})
			}
			_, size := utf8.DecodeRuneInString(rest[at+1:])
			parts = append(parts, &syntax.SglQuoted{Left: l.ValuePos, Right: l.ValueEnd, Value: rest[at+1 : at+1+size]})
			rest = rest[at+1+size:]
		}
	}
	w.Parts = parts
}

// subshell makes the last part of a pipeline a subshell of its own, unless it is one or a plain command.
func subshell(s *syntax.Stmt) *syntax.Stmt {
	switch cmd := s.Cmd.(type) {
	case *syntax.Subshell:
		return s
	case *syntax.CallExpr:
		if len(cmd.Args) > 0 && !interp.IsBuiltin(cmd.Args[0].Lit()) {
			return s
		}
	}
	return &syntax.Stmt{Position: s.Position, Cmd: &syntax.Subshell{Stmts: []*syntax.Stmt{s}}}
}

// rewriteStmt takes the redirections of file descriptors above 2 off a statement and puts commands in their place.
func rewriteStmt(s *syntax.Stmt, done map[*syntax.Subshell]bool) {
	if word := bashOnly(s.Cmd); word != "" {
		s.Cmd = callStmt(s, "__not_found", lit(word)).Cmd
	}
	var kept []*syntax.Redirect
	var opens, closes []*syntax.Stmt
	for _, r := range s.Redirs {
		if r.Op == syntax.RdrClob {
			r.Op = syntax.RdrOut
		}
		fd := ""
		if r.N != nil && len(r.N.Value) > 0 && (len(r.N.Value) > 1 || r.N.Value > "2") {
			fd = r.N.Value
		}
		to := r.Word.Lit()
		switch {
		case fd != "" && r.Op == syntax.DplOut && to == "-" && !isExec(s.Cmd):
			// A child that is to go without an open file: the pretend processes within the shell's own share what it has open.
		case fd != "":
			opens = append(opens, callStmt(s, "__fd_open", lit(fd), lit(r.Op.String()), r.Word))
			closes = append(closes, callStmt(s, "__fd_close", lit(fd)))
		case r.Op == syntax.DplOut && len(to) == 1 && to > "2" && to <= "9":
			kept = append(kept, &syntax.Redirect{Op: syntax.AppOut, N: r.N, Word: lit("/dev/fd/" + to), OpPos: r.OpPos})
		default:
			kept = append(kept, r)
		}
	}
	if len(opens) == 0 {
		s.Redirs = kept
		if sub, ok := s.Cmd.(*syntax.Subshell); ok && !done[sub] {
			done[sub] = true
			closeAfterSubshell(s, sub)
		}
		return
	}
	if isExec(s.Cmd) {
		if len(kept) > 0 {
			opens = append(opens, &syntax.Stmt{Position: s.Position, Cmd: s.Cmd, Redirs: kept})
		}
		s.Redirs, s.Cmd = nil, block(opens)
		return
	}
	inner := &syntax.Stmt{Position: s.Position, Cmd: s.Cmd, Redirs: kept}
	for i := len(opens) - 1; i >= 0; i-- {
		inner = &syntax.Stmt{Position: s.Position, Cmd: &syntax.BinaryCmd{Op: syntax.AndStmt, X: opens[i], Y: inner}}
	}
	s.Redirs, s.Cmd = nil, block(append([]*syntax.Stmt{inner}, closes...))
}

// isExec says whether a command is an exec without a program, whose redirections last.
func isExec(c syntax.Command) bool {
	call, ok := c.(*syntax.CallExpr)
	return ok && len(call.Args) == 1 && call.Args[0].Lit() == "exec"
}

// bashOnly is the word of a command that the interpreter knows as part of bash's language and dash does not know.
func bashOnly(c syntax.Command) string {
	switch c := c.(type) {
	case *syntax.TestClause:
		return "[["
	case *syntax.LetClause:
		return "let"
	case *syntax.DeclClause:
		if isBashism(c.Variant.Value) {
			return c.Variant.Value
		}
	}
	return ""
}

// closeAfterSubshell closes, after a subshell, what an exec inside it opened: the process is the same.
func closeAfterSubshell(s *syntax.Stmt, sub *syntax.Subshell) {
	var closes []*syntax.Stmt
	for _, in := range sub.Stmts {
		if !isExec(in.Cmd) {
			continue
		}
		for _, r := range in.Redirs {
			if r.N != nil && r.N.Value > "2" {
				closes = append(closes, callStmt(s, "__fd_close", lit(r.N.Value)))
			}
		}
	}
	if len(closes) > 0 {
		inner := &syntax.Stmt{Position: s.Position, Cmd: sub, Redirs: s.Redirs}
		s.Redirs, s.Cmd = nil, block(append([]*syntax.Stmt{inner}, closes...))
	}
}

func block(stmts []*syntax.Stmt) *syntax.Block { return &syntax.Block{Stmts: stmts} }

func lit(s string) *syntax.Word {
	return &syntax.Word{Parts: []syntax.WordPart{&syntax.SglQuoted{Value: s}}}
}

func callStmt(at *syntax.Stmt, name string, args ...*syntax.Word) *syntax.Stmt {
	words := append([]*syntax.Word{{Parts: []syntax.WordPart{&syntax.Lit{Value: name}}}}, args...)
	return &syntax.Stmt{Position: at.Position, Cmd: &syntax.CallExpr{Args: words}}
}

// onCall puts the machine's own commands in the place of builtins that the interpreter lacks, or that would look at the
// real machine.
func (m *Machine) onCall(ctx context.Context, args []string) ([]string, error) {
	if isBashism(args[0]) {
		return []string{"__not_found", args[0]}, nil
	}
	switch args[0] {
	case "umask", "kill", "type", "hash":
		return append([]string{"__" + args[0]}, args[1:]...), nil
	case "ulimit":
		return []string{"true"}, nil
	case "command":
		return commandCall(args), nil
	case "pwd":
		if len(args) > 1 && args[1] == "-P" {
			return []string{"__pwd"}, nil
		}
	case "trap":
		return trapCall(args), nil
	case "set":
		return setCall(ctx, args), nil
	case "test", "[":
		return testCall(args), nil
	}
	return args, nil
}

func commandCall(args []string) []string {
	if len(args) > 1 && strings.HasPrefix(args[1], "-") && args[1] != "--" {
		return append([]string{"__command"}, args[1:]...)
	}
	if len(args) > 1 && !interp.IsBuiltin(args[1]) {
		return args[1:]
	}
	return args
}

// trapCall leaves only the traps that the interpreter has. The others never spring here: a pretend process that is
// sent a signal ends.
func trapCall(args []string) []string {
	if len(args) < 3 {
		return args
	}
	kept := []string{"trap", args[1]}
	for _, sig := range args[2:] {
		switch strings.TrimPrefix(sig, "SIG") {
		case "0", "EXIT":
			kept = append(kept, "EXIT")
		case "HUP", "INT", "QUIT", "TERM", "PIPE", "USR1", "USR2", "1", "2", "3", "13", "15":
		default:
			return args
		}
	}
	if len(kept) == 2 {
		return []string{"true"}
	}
	return kept
}

func setCall(ctx context.Context, args []string) []string {
	state, _ := ctx.Value(shellKey{}).(*shellState)
	if state == nil || len(args) != 2 {
		if len(args) == 3 && args[2] == "pipefail" {
			return []string{"__set_error", args[1], args[2]} // dash of Debian 12 has none
		}
		return args
	}
	if rest, ok := strings.CutSuffix(args[1], "C"); ok && len(rest) > 0 && (rest[0] == '-' || rest[0] == '+') {
		state.noclobber.Store(rest[0] == '-')
		if len(rest) == 1 {
			return []string{"true"}
		}
		return []string{"set", rest}
	}
	return args
}

// testCall answers -ef, which the interpreter would answer by inode numbers of the real machine.
func testCall(args []string) []string {
	a := args[1:]
	if args[0] == "[" && len(a) > 0 {
		a = a[:len(a)-1]
	}
	if len(a) == 3 && a[1] == "-ef" {
		return []string{"__same_file", a[0], a[2]}
	}
	return args
}
