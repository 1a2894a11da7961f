package doctor

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/survey"
)

// doctorScript comes after that of survey, in the same shell.
//
//go:embed doctor.sh
var doctorScript string

// A Patient is a host to look at.
type Patient struct {
	Name         string
	ControlPlane bool
}

// patience is how long the API may take to answer: it may be what is broken.
const patience = 8 * time.Second

// Look looks at these hosts, at etcd and at the API, all at the same time. What does not answer is part of the picture:
// an error means that the knowledge could not be read, or that ctx has ended.
func Look(ctx context.Context, eyes survey.Eyes, patients []Patient) (*Picture, error) {
	base, err := knowledge.Load()
	if err != nil {
		return nil, fmt.Errorf("reading what is known of Kubernetes: %w", err)
	}
	p := &Picture{Now: time.Now(), Knowledge: base}
	var looking sync.WaitGroup
	looking.Go(func() { p.askHosts(ctx, eyes, patients) })
	looking.Go(func() { p.askAPI(ctx, eyes) })
	looking.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return p, nil
}

// question is what the doctor asks beside survey.
const question = "trouble"

// askHosts asks every host, in one round trip, what survey wants to know and what is in trouble, and those of the control
// plane about etcd.
func (p *Picture) askHosts(ctx context.Context, eyes survey.Eyes, patients []Patient) {
	var names []string
	wanted := map[string]survey.Wanted{}
	for _, patient := range patients {
		more := []inquiry.Question{{Name: question, Text: doctorScript}}
		if patient.ControlPlane {
			more = append(more, etcd.Question())
		}
		names, wanted[patient.Name] = append(names, patient.Name), survey.Wanted{More: more}
	}
	answers := eyes.Ask(ctx, names, func(name string) survey.Wanted { return wanted[name] })
	var reports []*etcd.Report
	for i, answer := range answers {
		h := &Host{Host: answer, ControlPlane: patients[i].ControlPlane}
		h.take(answer.More)
		p.Hosts = append(p.Hosts, h)
		if r, err := etcd.Read(h.Name, answer.More); err == nil && tells(r) {
			reports = append(reports, r)
		}
	}
	p.Etcd = etcd.Best(reports)
}

// take finds the doctor's answer among those of a host. Without it nobody knows how the host is.
func (h *Host) take(answers map[string]inquiry.Answer) {
	a, told := answers[question]
	switch {
	case h.Err != nil:
	case !told:
		h.Err = errors.New("what it said of its trouble was lost in too much output")
	case a.Code != 0:
		h.Err = fmt.Errorf("looking for trouble on %s: exit status %d: %s", h.Name, a.Code, joined(a.Complaints))
	}
	h.read(a.Sections)
}

// tells says whether a report is one of etcd: a host without manifests knows of none.
func tells(r *etcd.Report) bool {
	_, refused := errors.AsType[*engine.RefusedError](r.Trouble())
	return !refused || len(r.Members()) > 0
}

// askAPI asks the API, for as long as a person would wait.
func (p *Picture) askAPI(ctx context.Context, eyes survey.Eyes) {
	if eyes.Cluster == nil {
		return
	}
	if p.Away = eyes.Cluster.Login(ctx); p.Away != nil { // whoever has to log in for it may take longer
		p.Cluster = &survey.Cluster{Server: eyes.Cluster.Host()}
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	p.Cluster, p.Complaints, p.Away = survey.Triage(ctx, eyes.Cluster)
}
