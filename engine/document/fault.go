package document

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/go-multierror"
)

// A Fault is one mistake in a document.
type Fault struct {
	File string // as the user named it
	Line int    // from 1; 0 when the fault concerns the file as a whole
	Col  int    // from 1, in characters
	Msg  string // what is wrong, lowercase
	Hint string // what to do about it; may be empty
	text string // the line, for Snippet
	kind string // what faults of one kind have in common: the words of the message without what they are about
}

// Error renders the fault on one line: file:line:col: message; hint.
func (f *Fault) Error() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Col)
	}
	if f.Hint == "" {
		return where + ": " + f.Msg
	}
	return where + ": " + f.Msg + "; " + f.Hint
}

// Snippet shows the faulty line and a caret under the column. It is empty when the fault has no line. Characters that
// would move a terminal's cursor are shown as dots.
func (f *Fault) Snippet() string {
	if f.Line == 0 || f.text == "" {
		return ""
	}
	number := fmt.Sprintf("%5d", f.Line)
	return number + " | " + printable(f.text) + "\n" + strings.Repeat(" ", len(number)) + " | " +
		strings.Repeat(" ", max(0, f.Col-1)) + "^\n"
}

// printable replaces every character that does not show as itself. Each stays one column wide, so that carets fit.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}

// Faults collects what is wrong. The zero value is ready to use.
type Faults struct{ list []*Fault }

// Add records a fault at a position. The hint says what to do about it and may be empty.
func (fs *Faults) Add(at Pos, hint, format string, args ...any) {
	f := at.fault(hint, fmt.Sprintf(format, args...))
	if format != "%s" { // whose words are somebody else's
		f.kind = format
	}
	fs.list = append(fs.list, f)
}

// Full says that there are as many faults as one message lists: those that follow are counted, and looking for a hint
// among thousands of names would help nobody.
func (fs *Faults) Full() bool { return len(fs.list) >= shown }

// Join records the faults that err consists of; another error becomes a fault at this position.
func (fs *Faults) Join(at Pos, err error) {
	if err == nil {
		return
	}
	if list := FaultsOf(err); len(list) > 0 {
		fs.list = append(fs.list, list...)
		return
	}
	fs.Add(at, "", "%s", err.Error())
}

// Len is the number of faults so far.
func (fs *Faults) Len() int { return len(fs.list) }

// Err returns nil if there is no fault; else a *multierror.Error of every *Fault, sorted by position, each once.
func (fs *Faults) Err() error {
	sorted := slices.SortedStableFunc(slices.Values(fs.list), compare)
	sorted = slices.CompactFunc(sorted, func(a, b *Fault) bool { return a.Error() == b.Error() })
	all := &multierror.Error{ErrorFormat: lines}
	for _, f := range sorted {
		all = multierror.Append(all, f)
	}
	return all.ErrorOrNil()
}

func compare(a, b *Fault) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Msg, b.Msg))
}

// shown and alike bound how many faults one message lists, in all and of one kind: more help nobody, and many of one kind
// must not hide the only one of another.
const (
	shown = 100
	alike = 20
)

// lines renders errors one per line.
func lines(errs []error) string {
	var b strings.Builder
	var more []string // the first fault of each kind that is not listed
	seen, listed := map[string]int{}, 0
	for _, err := range errs {
		kind := kindOf(err)
		seen[kind]++
		switch {
		case listed < shown && (kind == "" || seen[kind] <= alike):
			listed++
			fmt.Fprintln(&b, err)
		case seen[kind] == alike+1:
			more = append(more, kind)
		}
	}
	rest := len(errs) - listed
	for _, kind := range more {
		fmt.Fprintf(&b, "and %d more like these: %s\n", seen[kind]-alike, strings.NewReplacer("%q", "...", "%s", "...", "%d", "...").Replace(kind))
		rest -= seen[kind] - alike
	}
	if rest > 0 {
		fmt.Fprintf(&b, "and %d more faults\n", rest)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func kindOf(err error) string {
	var f *Fault
	if errors.As(err, &f) {
		return f.kind
	}
	return ""
}

// FaultsOf returns the faults that err holds, in their order; none if it holds none.
func FaultsOf(err error) []*Fault {
	var many *multierror.Error
	if errors.As(err, &many) {
		var list []*Fault
		for _, e := range many.Errors {
			list = append(list, FaultsOf(e)...)
		}
		return list
	}
	var one *Fault
	if errors.As(err, &one) {
		return []*Fault{one}
	}
	return nil
}
