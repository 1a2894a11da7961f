package doctor

import (
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/survey"
)

// read takes in what doctor.sh said: sections that begin with "== name", answers, and lines of logs behind their bars.
func (h *Host) read(stdout string) {
	h.Services, h.Components = map[string]*Service{}, map[string]*Component{}
	for _, part := range strings.Split("\n"+stdout, "\n== ")[1:] {
		head, body, _ := strings.Cut(part, "\n")
		head = printable.Cut(head, printable.Message)
		f := strings.Fields(head)
		if len(f) == 0 {
			continue
		}
		h.readSection(f, strings.TrimPrefix(head, f[0]+" "), strings.Split(body, "\n"))
	}
}

func (h *Host) readSection(head []string, rest string, body []string) {
	answers, text := apart(body)
	switch {
	case head[0] == "host":
		h.readSelf(answers)
	case head[0] == "certificates":
		h.Expiration = strings.Join(text, "\n")
	case head[0] == "forbidden":
		h.Forbidden = strings.Join(text, "\n")
	case head[0] == "job" && len(head) > 3:
		h.Job = readJob(rest, text)
	case len(head) < 2:
	case head[0] == "service":
		h.Services[head[1]] = readService(answers, text)
	case head[0] == "component":
		h.Components[head[1]] = readComponent(answers)
	case h.Components[head[1]] == nil:
	case head[0] == "log" && len(head) > 4:
		c := h.Components[head[1]]
		c.Logs = append(c.Logs, Log{Began: seconds(head[3]), Ended: seconds(head[4]), Lines: logLines(text)})
	case head[0] == "about":
		h.Components[head[1]].About = text
	}
}

// apart tells answers from lines behind a bar.
func apart(body []string) (answers, text []string) {
	for _, l := range body {
		l = printable.Cut(l, printable.Message) // a diagnosis shows lines of logs
		if quoted, ok := strings.CutPrefix(l, "|"); ok {
			text = append(text, quoted)
		} else if l != "" {
			answers = append(answers, l)
		}
	}
	return answers, text
}

func (h *Host) readSelf(answers []string) {
	for _, l := range answers {
		word, value, _ := strings.Cut(l, " ")
		switch word {
		case "disk":
			h.readDisk(strings.Fields(value))
		case "backups":
			h.Backups = value
		case "upgraded":
			h.Upgraded = true
		case "cgroup":
			h.CgroupType = value
		case "etcd-data":
			h.EtcdData = true
		}
	}
}

// A file system is full with less than a hundredth left, and less than what one container's start writes.
const (
	fullShare = 100
	fullBytes = 64 << 20
	mostFull  = 100 // file systems that are told of: more than the script asks about
)

// readDisk takes in a line of df: path, device, blocks, used, available, capacity, mount. The path comes first.
func (h *Host) readDisk(f []string) {
	const columns = 7
	if len(f) < columns {
		return
	}
	d := survey.Disk{Path: f[0], Device: f[1], Size: int64(number(f[2])) << 10, Free: int64(number(f[4])) << 10, Mount: f[6]}
	if len(h.Full) == mostFull || d.Size <= 0 || d.Free*fullShare >= d.Size || d.Free >= fullBytes {
		return
	}
	for _, known := range h.Full {
		if known.Mount == d.Mount {
			return
		}
	}
	h.Full = append(h.Full, d)
}

func readService(answers, text []string) *Service {
	s := &Service{Log: text}
	for _, l := range answers {
		word, value, _ := strings.Cut(l, " ")
		switch word {
		case "active":
			s.Active, s.Sub, _ = strings.Cut(value, " ")
		case "restarts":
			s.Restarts = number(value)
		case "result":
			s.Result = strings.TrimSpace(value)
		case "began":
			s.Ran, s.Began = true, seconds(value)
		}
	}
	return s
}

func readComponent(answers []string) *Component {
	c := &Component{}
	for _, l := range answers {
		word, value, _ := strings.Cut(l, " ")
		switch word {
		case "manifest":
			c.Manifest, c.Age = true, seconds(value)
		case "backup":
			c.Backup = value
		case "runs":
			c.Process = value
		}
	}
	return c
}

// readJob reads "AGO CODE NAME...".
func readJob(head string, text []string) *Job {
	ago, rest, _ := strings.Cut(head, " ")
	code, name, _ := strings.Cut(rest, " ")
	return &Job{Name: name, Ago: seconds(ago), Code: code, Out: text}
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

func seconds(text string) time.Duration { return time.Duration(number(text)) * time.Second }

// number reads a decimal number; what is none is 0.
func number(text string) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0
	}
	return n
}
