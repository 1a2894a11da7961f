package doctor

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/knowledge"
)

// A clue is a text by which a failure may be recognised, and what kind of text that is.
type clue struct {
	in   knowledge.Place
	text string
}

// onlyThatItDoesNotStart is the failure that says that a component did not start, and not why: anything else is better.
// It is spoken of only where kubeadm was at work.
const onlyThatItDoesNotStart = "static-pod-never-changed"

// explain looks for a failure in clues, the most telling first, and puts it into the diagnosis.
func (p *Picture) explain(d *Diagnosis, h *Host, clues ...clue) {
	var general *knowledge.Sighting
	target := knowledge.Minor(0)
	if h != nil {
		target = h.minor()
	}
	for _, c := range clues {
		for _, s := range p.Knowledge.Recognise(c.in, c.text, target) {
			if s.Failure.ID != onlyThatItDoesNotStart {
				d.is(s, c)
				return
			}
			if general == nil {
				general = &s
			}
		}
	}
	if general != nil && h != nil && (h.upgraded() || h.Job != nil && h.Job.kubeadm()) {
		d.is(*general, clue{})
	}
}

// is puts a known failure into the diagnosis, and the line that shows it where the log does not have it.
func (d *Diagnosis) is(s knowledge.Sighting, by clue) {
	d.Known = &Known{ID: s.Failure.ID, Title: s.Failure.Title, Sources: s.Failure.Sources, Seen: s.Text}
	d.Next = s.Failure.Remedy
	if by.in == knowledge.FromEtcd || by.in == knowledge.FromAPI {
		return // it is in the sentence already
	}
	shows := func(l string) bool { return strings.Contains(l, s.Text) }
	lines := strings.Split(by.text, "\n")
	if i := slices.IndexFunc(lines, shows); i >= 0 && !slices.ContainsFunc(d.Log, shows) {
		d.Log = []string{lines[i]}
	}
}

// lately is how far before its end a log is read: what it said earlier was of another trouble.
const lately = 5 * time.Minute

// texts are the last lines of a log, those of the last minutes.
func (l Log) texts() []string {
	var texts []string
	for i, x := range l.Lines {
		end := l.Lines[len(l.Lines)-1].at
		if x.at.IsZero() || end.Sub(x.at) <= lately || i == len(l.Lines)-1 {
			texts = append(texts, x.text)
		}
	}
	return texts
}

// mostLines is how much of a log a diagnosis shows.
const mostLines = 8

var (
	// What differs from one time to the next in lines that say the same: time, process, numbers.
	stamp       = regexp.MustCompile(`time="[^"]*"|[0-9a-f]{8,}|\d+`)
	klogLine    = regexp.MustCompile(`^[IWEF]\d{4} (\d\d:\d\d:\d\d)\.\d+ +\d+ \S+\] (.*)$`)
	innerQuotes = regexp.MustCompile(`\\+"`)
	// A line of help, which a program prints when it does not understand its flags.
	help = regexp.MustCompile(`^\s*$|^\s{2,}|^\w[\w ]* flags:$|^Usage:$`)
	// What tells trouble: klog's severities, and the words of others.
	trouble = regexp.MustCompile(`(?i)^[WEF]\d{4} |error|fail|fatal|panic|refused|denied|forbidden|expired|no space|cannot|unable|unknown|"level":"(warn|error|fatal|panic)"|level=(warning|error|fatal)|exited`)
	// What a program says of its own accord, whatever words are in it.
	calm = regexp.MustCompile(`^I\d{4} |level=info|"level":"info"`)
	// A complaint about an API that is away, or of a moment: it says nothing of who complains.
	away = regexp.MustCompile(`already exists|dial tcp|connection re(fused|set)|deadline exceeded|i/o timeout|TLS handshake timeout|: EOF|Unable to write event`)
)

// telling are the last lines of a log that say something of the trouble, without repetitions; the last lines at all if
// none does.
func telling(log []string, most int) []string {
	var lines []string
	said := map[string]bool{}
	for _, l := range slices.Backward(log) {
		key := stamp.ReplaceAllString(Readable(l), "")
		if len(lines) == most || help.MatchString(l) || !tellsTrouble(l) || said[key] {
			continue
		}
		said[key] = true
		lines = append(lines, l)
	}
	slices.Reverse(lines)
	if len(lines) == 0 {
		return slices.Clone(log[max(0, len(log)-most):])
	}
	return lines
}

func tellsTrouble(l string) bool { return trouble.MatchString(l) && !calm.MatchString(l) }

// Readable is a line of a log for people: of klog's prefix the time alone, of the JSON of etcd its level, message and
// error, and quotes within quotes as one sign.
func Readable(l string) string {
	if m := klogLine.FindStringSubmatch(l); m != nil {
		l = m[1] + " " + m[2]
	}
	var said struct{ Level, Msg, Error string }
	if strings.HasPrefix(l, "{") && printable.JSON([]byte(l), &said) == nil && said.Msg != "" {
		l = said.Level + ": " + said.Msg
		if said.Error != "" {
			l += ": " + said.Error
		}
	}
	return innerQuotes.ReplaceAllString(l, "'")
}

// ofItself leaves out what is only said of an API that is away.
func ofItself(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), away.MatchString)
}

func joined(lines []string) string { return strings.Join(lines, "\n") }

// uncommented is a file without its comments: a flag that is commented out is none.
func uncommented(text string) string {
	return joined(slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "#") }))
}
