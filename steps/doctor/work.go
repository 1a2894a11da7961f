package doctor

import (
	"fmt"
	"strings"

	"upgrader.dev/upgrader/steps/knowledge"
)

// disks are the file systems of a host that are full.
func (p *Picture) disks(h *Host) []Diagnosis {
	var all []Diagnosis
	for _, disk := range h.Full {
		d := Diagnosis{Host: h.Name, Component: "disk", State: Failing,
			Why:  fmt.Sprintf("the file system on %s is full: %d MiB of %d MiB left", disk.Mount, disk.Free>>20, disk.Size>>20),
			Next: "find what fills it, `du -xh " + disk.Mount + " | sort -h | tail`, and make room"}
		if strings.HasPrefix("/etc/kubernetes/tmp", strings.TrimSuffix(disk.Mount, "/")) {
			p.explain(&d, h, clue{knowledge.Host, h.Backups})
		}
		all = append(all, d)
	}
	return all
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
	if h.Forbidden == "" {
		return nil
	}
	d := Diagnosis{Host: h.Name, Component: "admin.conf", State: Failing, Why: "the API refuses what /etc/kubernetes/admin.conf asks for",
		Log: telling(strings.Split(h.Forbidden, "\n"), mostLines), Next: "give its user the rights of an administrator again, or make it anew with `kubeadm init phase kubeconfig admin`"}
	p.explain(&d, h, clue{knowledge.FromAPI, h.Forbidden}, clue{knowledge.KubeadmOutput, h.Forbidden})
	return []Diagnosis{d}
}
