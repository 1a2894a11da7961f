package inquiry

import (
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
)

func endless() []string {
	return []string{
		"|" + strings.Repeat("x", 60) + "\n", "== file /a\n|x\n", "== \n", "x\n", "== host\ndisk / 1\n", "== question a\n== x\n|y\n== answered 0\n",
		"== question a\n", "== answered 0\n", "df -Pk /x has not answered for 8s\n",
	}
}

// FuzzRead proves that no answer of a host breaks the reader, that nothing hostile comes out of it, and nothing longer than
// it may be.
func FuzzRead(f *testing.F) {
	for _, text := range endless() {
		f.Add(text+text, text)
	}
	f.Add("== question q\n"+hostile.Text()+"\n|"+hostile.Text()+"\n== answered 1\n", "== question q\nno\n")
	f.Fuzz(func(t *testing.T, stdout, stderr string) {
		a := Read(printable.Text(stdout), printable.Text(stderr)) // as the client of the hosts hands them on
		hostile.Check(t, a, printable.Document)
		all := a.Base
		for _, answer := range a.To {
			all = append(all, answer.Sections...)
			hostile.Check(t, answer.Complaints, printable.Message)
		}
		for _, s := range all {
			hostile.Check(t, []any{s.Name, s.About, s.Answers, s.Lines()}, printable.Message)
		}
	})
}

func TestReadingCostsInProportion(t *testing.T) {
	for _, line := range endless() {
		hostile.InProportion(t, line, func(text string) { Read(text, text) })
	}
}

// Of an answer whose end was lost nothing is believed, and nothing that stands behind a bar is a head.
func TestOnlyWholeAnswersAreRead(t *testing.T) {
	for stdout, want := range map[string]bool{
		"== question q\n== x\n== answered 0\n":                true,
		"== question q\n== x\n":                               false,
		"== question q\n== x\n== answered \n":                 false,
		"== question q\n== x\n|== answered 0\n":               false,
		"== question q\n== x\n== question r\n== answered 0\n": false,
		"|== question q\n== answered 0\n":                     false,
		"== answered 0\n":                                     false,
	} {
		if _, got := Read(stdout, "").To["q"]; got != want {
			t.Errorf("%q is read: %v", stdout, got)
		}
	}
}
