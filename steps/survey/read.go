package survey

import (
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/inquiry"
)

// Read takes in what the script said on a host. began is when it was asked, by our clock.
func Read(name string, said inquiry.Answers, began, ended time.Time) *Host {
	h := &Host{Name: name, Hung: said.Hung}
	h.read(said.Base, began, ended)
	printable.Clean(h, "Files", "Difference") // the names in certificates have not been text before
	h.More = said.To
	return h
}

func (h *Host) read(said []inquiry.Section, began, ended time.Time) {
	h.Units, h.Files, h.Changed, h.Kubeconfigs = map[string]Unit{}, map[string]string{}, map[string]time.Time{}, map[string]string{}
	for _, s := range said {
		switch s.Name {
		case "host":
			h.readSelf(s.Answers, began, ended)
		case "file":
			h.Files[s.About], h.Changed[s.About] = s.Text, changed(s.Answers)
		case "command":
			h.Command = strings.Split(strings.TrimSuffix(s.Text, "\n"), "\n")
		case "certificate":
			h.Certificates = append(h.Certificates, certificate(s.About, []byte(s.Text)))
		case "kubeconfig":
			h.readKubeconfig(s)
		case "runtime":
			h.Runtime.read(s.Answers)
		case "apt":
			h.Apt.read(s.Answers)
		case "simulation":
			h.Apt.Simulated, h.Apt.Fails = true, len(s.Answers) > 0
			h.Apt.Says = s.Lines()
		case "api":
			h.API = &API{Address: s.About}
			h.API.read(s.Answers)
		case "difference":
			h.Difference, h.Compared = s.Text, len(s.Answers) == 0
		}
	}
}

func changed(answers []string) time.Time {
	for _, line := range answers {
		if at, ok := strings.CutPrefix(line, "changed "); ok {
			return time.Unix(number(at), 0)
		}
	}
	return time.Time{}
}

// readSelf takes in what a host says of itself, word and value.
func (h *Host) readSelf(answers []string, began, ended time.Time) {
	up := int64(0)
	for _, line := range answers {
		word, value, _ := strings.Cut(line, " ")
		value = strings.TrimSpace(value)
		switch word {
		case "user":
			h.Root = value == "0"
		case "clock":
			h.Now = instant(value)
			h.Clock = ahead(h.Now, began, ended)
		case "up":
			up = number(value)
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
			at, rest, _ := strings.Cut(value, " ")
			size, path, _ := strings.Cut(rest, " ")
			h.Leftovers = append(h.Leftovers, File{path, number(size) << 10, time.Unix(number(at), 0)})
		case "unit":
			name, rest, _ := strings.Cut(value, " ")
			h.Units[name] = unit(rest, up)
		case "unattended":
			h.Unattended = value != "" && value != "0"
		}
	}
}

// instant reads a clock as date +%s.%N has it; zero if it cannot be read.
func instant(clock string) time.Time {
	seconds, err := strconv.ParseFloat(clock, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(int64(seconds * 1e6))
}

// ahead is how far a host's clock is ahead of ours. Nobody knows when in between it was read: a difference that the time
// between could explain is none.
func ahead(there, began, ended time.Time) time.Duration {
	switch {
	case there.IsZero():
		return 0
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

// unit reads what systemd says of one, up seconds after the host was started. Its dates may be in a zone that nobody else
// knows; its monotonic clock, in microseconds, is not.
func unit(properties string, up int64) Unit {
	p := map[string]string{}
	for _, property := range strings.Fields(properties) {
		name, value, _ := strings.Cut(property, "=")
		p[name] = value
	}
	u := Unit{
		Load: p["LoadState"], Active: p["ActiveState"], Sub: p["SubState"], Enabled: p["UnitFileState"], Restarts: int(number(p["NRestarts"])),
		Result: strings.TrimSpace(p["Result"] + " " + p["ExecMainStatus"]),
	}
	if began := number(p["ExecMainStartTimestampMonotonic"]); began > 0 {
		u.Ran, u.Began = true, time.Duration(up-began/1e6)*time.Second
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
