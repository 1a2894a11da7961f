package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/survey"
)

// A file system is full with less than a hundredth left, and less than what one container's start writes.
const (
	fullShare = 100
	fullBytes = 64 << 20
)

// full are the file systems of a host without room, each once.
func full(h *Host) []survey.Disk {
	var all []survey.Disk
	for _, d := range h.Disks {
		told := slices.ContainsFunc(all, func(x survey.Disk) bool { return x.Mount == d.Mount })
		if !told && d.Size > 0 && d.Free*fullShare < d.Size && d.Free < fullBytes {
			all = append(all, d)
		}
	}
	return all
}

// disks are the file systems of a host that are full.
func (p *Picture) disks(h *Host) []Diagnosis {
	var all []Diagnosis
	for _, disk := range full(h) {
		d := Diagnosis{Host: h.Name, Component: "disk", State: Failing,
			Why:  fmt.Sprintf("the file system on %s is full: %d MiB of %d MiB left", disk.Mount, disk.Free>>20, disk.Size>>20),
			Next: "find what fills it, `du -xh " + disk.Mount + " | sort -h | tail`, and make room"}
		if strings.HasPrefix(backups, strings.TrimSuffix(disk.Mount, "/")) {
			p.explain(&d, h, clue{knowledge.Host, leftBehind(h)})
		}
		all = append(all, d)
	}
	return all
}

// backups is where kubeadm keeps what it replaces, and never removes it.
const backups = "/etc/kubernetes/tmp"

// leftBehind is how much kubeadm keeps of before, as du -sh tells it.
func leftBehind(h *Host) string {
	var total int64
	for _, f := range h.Leftovers {
		total += f.Size
	}
	if total < 1<<30 {
		return fmt.Sprintf("%.1fM\t%s", float64(total)/(1<<20), backups)
	}
	return fmt.Sprintf("%.1fG\t%s", float64(total)/(1<<30), backups)
}

// upgraded tells whether kubeadm changed something on the host within a day.
func (h *Host) upgraded() bool {
	return slices.ContainsFunc(h.Leftovers, func(f survey.File) bool {
		return strings.HasPrefix(f.Path, backups+"/kubeadm-") && h.Now.Sub(f.Changed) < 24*time.Hour
	})
}

// kubeadm tells whether the job is one of kubeadm.
func (j *Job) kubeadm() bool { return strings.HasPrefix(j.Name, "kubeadm ") }

// lastJob is the last job of upgrader on the host, if it failed and nothing was changed since.
func (p *Picture) lastJob(h *Host) []Diagnosis {
	j := h.Job
	if j == nil || j.Code == "0" || j.Code == "none" {
		return nil
	}
	program, _, _ := strings.Cut(j.Name, " ")
	d := Diagnosis{Host: h.Name, Component: program, State: Failing, Log: telling(j.Out, mostLines),
		Why:  fmt.Sprintf("`%s` failed %s ago, exit status %s", j.Name, j.Ago, j.Code),
		Next: "cure what its output names, then `upgrader resume`"}
	place := knowledge.Host
	if j.kubeadm() {
		place = knowledge.KubeadmOutput
	}
	p.explain(&d, h, append([]clue{{place, joined(j.Out)}}, p.annotations(h.Name)...)...)
	return []Diagnosis{d}
}

// forbidden is admin.conf that may do nothing.
func (p *Picture) forbidden(h *Host) []Diagnosis {
	if len(h.Forbidden) == 0 {
		return nil
	}
	said := joined(h.Forbidden)
	d := Diagnosis{Host: h.Name, Component: "admin.conf", State: Failing, Why: "the API refuses what /etc/kubernetes/admin.conf asks for",
		Log: telling(h.Forbidden, mostLines), Next: "give its user the rights of an administrator again, or make it anew with `kubeadm init phase kubeconfig admin`"}
	p.explain(&d, h, clue{knowledge.FromAPI, said}, clue{knowledge.KubeadmOutput, said})
	return []Diagnosis{d}
}
