package doctor

import (
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/inquiry"
)

// read takes in what doctor.sh said.
func (h *Host) read(said []inquiry.Section) {
	h.Journals, h.Components = map[string][]string{}, map[string]*Component{}
	for _, s := range said {
		about := strings.Fields(s.About)
		switch {
		case s.Name == "forbidden":
			h.Forbidden = s.Lines()
		case len(about) == 0:
		case s.Name == "job":
			h.Job = readJob(s)
		case s.Name == "journal":
			h.Journals[about[0]] = s.Lines()
		case s.Name == "component":
			h.Components[about[0]] = readComponent(s.Answers)
		case h.Components[about[0]] == nil:
		case s.Name == "log" && len(about) > 3:
			c := h.Components[about[0]]
			c.Logs = append(c.Logs, Log{Began: seconds(about[2]), Ended: seconds(about[3]), Lines: logLines(s.Lines())})
		case s.Name == "about":
			h.Components[about[0]].About = s.Lines()
		}
	}
}

func readComponent(answers []string) *Component {
	c := &Component{}
	for _, l := range answers {
		word, value, _ := strings.Cut(l, " ")
		switch word {
		case "backup":
			c.Backup = value
		case "runs":
			c.Process = value
		}
	}
	return c
}

// readJob reads "AGO CODE NAME...".
func readJob(s inquiry.Section) *Job {
	ago, rest, _ := strings.Cut(s.About, " ")
	code, name, _ := strings.Cut(rest, " ")
	return &Job{Name: name, Ago: seconds(ago), Code: code, Out: s.Lines()}
}

// logLines takes off what a container runtime puts before each line: "2026-11-22T03:10:17.29Z stderr F text".
func logLines(text []string) []line {
	var all []line
	for _, l := range text {
		f := strings.SplitN(l, " ", 4)
		at, err := time.Parse(time.RFC3339Nano, f[0])
		if err != nil || len(f) < 4 {
			all = append(all, line{text: l})
			continue
		}
		all = append(all, line{at, f[3]})
	}
	return all
}

// seconds reads a whole number of them; what is none is 0.
func seconds(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
