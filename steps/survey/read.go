package survey

import (
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/printable"
)

// Read takes in what the script said on a host. began is when it was asked, by our clock.
func Read(name, stdout string, began, ended time.Time) *Host {
	h := &Host{Name: name}
	h.read(stdout, began, ended)
	printable.Clean(h, "Files", "Difference") // the names in certificates have not been text before
	return h
}

// A section is one part of what the script says: "== name rest", answers, and the lines of a file behind their bars.
type section struct {
	name, rest string
	answers    []string
	text       string
	written    strings.Builder // the text under way
}

// sections takes the script's output apart.
func sections(stdout string) []*section {
	var all []*section
	now := &section{}
	for line := range strings.Lines(stdout) {
		body := strings.TrimSuffix(line, "\n")
		switch head, isHead := strings.CutPrefix(body, "== "); {
		case isHead:
			now = &section{}
			now.name, now.rest, _ = strings.Cut(head, " ")
			all = append(all, now)
		case strings.HasPrefix(body, "|"):
			now.written.WriteString(line[1:])
		case body != "":
			now.answers = append(now.answers, body)
		}
	}
	for _, s := range all {
		s.text = s.written.String()
	}
	return all
}

func (h *Host) read(stdout string, began, ended time.Time) {
	h.Units, h.Files, h.Kubeconfigs = map[string]Unit{}, map[string]string{}, map[string]string{}
	for _, s := range sections(stdout) {
		switch s.name {
		case "host":
			h.readSelf(s.answers, began, ended)
		case "file":
			h.Files[s.rest] = s.text
		case "command":
			h.Command = strings.Split(strings.TrimSuffix(s.text, "\n"), "\n")
		case "certificate":
			h.Certificates = append(h.Certificates, certificate(s.rest, []byte(s.text)))
		case "kubeconfig":
			h.readKubeconfig(s)
		case "runtime":
			h.Runtime.read(s.answers)
		case "apt":
			h.Apt.read(s.answers)
		case "simulation":
			h.Apt.Simulated, h.Apt.Fails = true, len(s.answers) > 0
			h.Apt.Says = lines(s.text)
		case "api":
			h.API = &API{Address: s.rest}
			h.API.read(s.answers)
		case "difference":
			h.Difference, h.Compared = s.text, len(s.answers) == 0
		}
	}
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// readSelf takes in what a host says of itself, word and value.
func (h *Host) readSelf(answers []string, began, ended time.Time) {
	for _, line := range answers {
		word, value, _ := strings.Cut(line, " ")
		value = strings.TrimSpace(value)
		switch word {
		case "user":
			h.Root = value == "0"
		case "clock":
			h.Clock = ahead(value, began, ended)
		case "kernel":
			h.Kernel = value
		case "cgroup":
			h.Cgroup = value
		case "kubeadm":
			h.Kubeadm = strings.TrimPrefix(value, "v")
		case "kubelet":
			h.Kubelet = strings.TrimPrefix(value, "Kubernetes v")
		case "kubectl":
			h.Kubectl = strings.TrimPrefix(value, "v")
		case "swap":
			name, _, _ := strings.Cut(value, " ")
			h.Swaps = append(h.Swaps, name)
		case "disk", "inodes":
			h.readDisk(word, strings.Fields(value))
		case "etcd-db":
			h.EtcdDB = number(value)
		case "snapshot":
			taken, path, _ := strings.Cut(value, " ")
			h.Snapshots = append(h.Snapshots, Snapshot{path, time.Unix(number(taken), 0)})
		case "leftover":
			size, path, _ := strings.Cut(value, " ")
			h.Leftovers = append(h.Leftovers, File{path, number(size) << 10})
		case "unit":
			name, rest, _ := strings.Cut(value, " ")
			h.Units[name] = unit(rest)
		case "unattended":
			h.Unattended = value != "" && value != "0"
		}
	}
}

// ahead is how far a host's clock, as date +%s.%N has it, is ahead of ours. Nobody knows when in between it was read: a
// difference that the time between could explain is none.
func ahead(clock string, began, ended time.Time) time.Duration {
	seconds, err := strconv.ParseFloat(clock, 64)
	if err != nil {
		return 0
	}
	there := time.UnixMicro(int64(seconds * 1e6))
	switch {
	case there.Before(began):
		return there.Sub(began)
	case there.After(ended):
		return there.Sub(ended)
	}
	return 0
}

// mostDisks is more than the script asks about.
const mostDisks = 100

// readDisk takes in a line of df: path, device, blocks, used, available, capacity, mount. The path comes first.
func (h *Host) readDisk(word string, f []string) {
	const columns = 7
	if len(f) < columns {
		return
	}
	if word == "disk" {
		if len(h.Disks) < mostDisks {
			h.Disks = append(h.Disks, Disk{Path: f[0], Device: f[1], Size: number(f[2]) << 10, Free: number(f[4]) << 10, Mount: f[6]})
		}
		return
	}
	for i := range h.Disks {
		if h.Disks[i].Path == f[0] {
			h.Disks[i].Inodes, h.Disks[i].InodesFree = number(f[2]), number(f[4])
		}
	}
}

func unit(properties string) Unit {
	var u Unit
	for _, p := range strings.Fields(properties) {
		name, value, _ := strings.Cut(p, "=")
		switch name {
		case "LoadState":
			u.Load = value
		case "ActiveState":
			u.Active = value
		case "SubState":
			u.Sub = value
		case "UnitFileState":
			u.Enabled = value
		case "NRestarts":
			u.Restarts = int(number(value))
		}
	}
	return u
}

// number reads a decimal number; what is none is 0.
func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (r *Runtime) read(answers []string) {
	r.Asked, r.Images = true, map[string]string{}
	for _, line := range answers {
		word, value, _ := strings.Cut(line, " ")
		switch word {
		case "answers":
			r.Answers = true
		case "silent":
			r.Says = value
		case "image":
			name, said, _ := strings.Cut(value, " ")
			r.Images[name] = said
		}
	}
}

func (a *Apt) read(answers []string) {
	a.There, a.Remote = true, map[string][]string{}
	for _, line := range answers {
		word, value, _ := strings.Cut(line, " ")
		f := strings.Fields(value)
		switch {
		case word == "signature" && len(f) == 3:
			a.Signatures = append(a.Signatures, Signature{f[0], f[1], f[2]})
		case word == "remote" && len(f) == 2:
			a.Remote[f[0]] = append(a.Remote[f[0]], f[1])
		case word == "held":
			a.Held = f
		case word == "unreachable":
			a.Unreachable = value
		}
	}
}

func (a *API) read(answers []string) {
	for _, line := range answers {
		switch word, value, _ := strings.Cut(line, " "); {
		case line == "ready":
			a.Ready = true
		case word == "silent":
			a.Says = value
		case word == "process_start_time_seconds":
			if seconds, err := strconv.ParseFloat(value, 64); err == nil {
				a.Started = time.Unix(int64(seconds), 0)
			}
		case strings.HasPrefix(line, "apiserver_requested_deprecated_apis{") && !strings.HasSuffix(line, "} 0"):
			a.Deprecated = append(a.Deprecated, requested(line))
		}
	}
}

// requested reads the labels of apiserver_requested_deprecated_apis{group="policy",...} 1.
func requested(line string) Requested {
	label := func(name string) string {
		_, rest, _ := strings.Cut(line, name+`="`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	return Requested{
		Group: label("{group"), Version: label(",version"), Resource: label(",resource"),
		Subresource: label(",subresource"), RemovedIn: label(",removed_release"),
	}
}
