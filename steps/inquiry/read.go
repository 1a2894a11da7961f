package inquiry

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/engine/printable"
)

// Answers are what a host said to a script. Their texts are printable if the script's output was.
type Answers struct {
	Base []Section         // to the base
	To   map[string]Answer // to each question; one that lacks was never asked, or its answer was lost in too much output
	Hung []string          // programs that did not answer, each once: "df -Pk / has not answered for 8s"
}

// An Answer is what was said to one question.
type Answer struct {
	Sections   []Section
	Code       int      // the exit status of its script
	Complaints []string // lines of standard error
}

// A Section is one part of what a script says.
type Section struct {
	Name    string   // the first word of its head
	About   string   // the rest of it
	Answers []string // lines without a bar; none is empty, or longer than printable.Message
	Text    string   // the lines behind bars, without them: at most printable.Document
}

// Lines are those of the text, none longer than printable.Message.
func (s *Section) Lines() []string {
	if s.Text == "" {
		return nil
	}
	all := strings.Split(strings.TrimSuffix(s.Text, "\n"), "\n")
	for i, line := range all {
		all[i] = printable.Cut(line, printable.Message)
	}
	return all
}

// Read takes in both outputs of a script.
func Read(stdout, stderr string) Answers {
	a := Answers{To: map[string]Answer{}, Hung: hung(stderr)}
	var said map[string][]Section
	a.Base, said = byQuestion(sections(stdout))
	_, complained := byQuestion(sections(stderr))
	for name, all := range said {
		answer, whole := Answer{Sections: all}, false
		if answer.Sections, answer.Code, whole = end(all); !whole {
			continue
		}
		for _, s := range complained[name] {
			if s.Name == asked {
				answer.Complaints = s.Answers
			}
		}
		a.To[name] = answer
	}
	return a
}

// The sections that stand around the answer to a question.
const (
	asked    = "question"
	answered = "answered"
)

// byQuestion divides sections into those before any question, and those of each from its own head on.
func byQuestion(all []Section) (base []Section, of map[string][]Section) {
	of = map[string][]Section{}
	next := func(from int) int {
		if i := slices.IndexFunc(all[from:], func(s Section) bool { return s.Name == asked }); i >= 0 {
			return from + i
		}
		return len(all)
	}
	first := next(0)
	for i := first; i < len(all); {
		after := next(i + 1)
		of[all[i].About] = all[i:after]
		i = after
	}
	return all[:first], of
}

// end takes the head and the end off the answer to a question. It is whole if the end is there, with the exit status.
func end(all []Section) (inner []Section, code int, whole bool) {
	last := all[len(all)-1]
	code, err := strconv.Atoi(last.About)
	if len(all) < 2 || last.Name != answered || err != nil {
		return nil, 0, false
	}
	return all[1 : len(all)-1], code, true
}

// sections takes an output apart. What stands before the first head is no section's.
func sections(output string) []Section {
	var all []Section
	var text strings.Builder
	finish := func() {
		if len(all) > 0 {
			all[len(all)-1].Text = printable.Cut(text.String(), printable.Document)
		}
		text.Reset()
	}
	for line := range strings.Lines(output) {
		body := strings.TrimSuffix(line, "\n")
		switch head, isHead := strings.CutPrefix(body, "== "); {
		case isHead:
			finish()
			name, about, _ := strings.Cut(printable.Cut(head, printable.Message), " ")
			all = append(all, Section{Name: name, About: about})
		case len(all) == 0 || body == "":
		case body[0] == '|':
			text.WriteString(line[1:])
		default:
			s := &all[len(all)-1]
			s.Answers = append(s.Answers, printable.Cut(body, printable.Message))
		}
	}
	finish()
	return all
}

var hangs = regexp.MustCompile(`^.{1,1000} has not answered for [0-9]+s$`)

// hung finds what within said on standard error.
func hung(stderr string) []string {
	var all []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); hangs.MatchString(line) && !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	return all
}
