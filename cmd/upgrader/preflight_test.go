package main

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/finding"
)

// found is an inspection with something of everything in it.
func found() *inspection {
	r := &inspection{
		Plan: "kubeadm-1.27-to-1.28", Cluster: "prod", To: "1.28.15", Hosts: 12, Took: 2.34,
		Drain:  "the longest drain is expected on w3: up to 1m0s (2 pods under PDB shop/web leave 1 at a time)",
		checks: []engine.Check{{Name: "config.flags"}, {Name: "host.swap"}, {Name: "host.clock"}, {Name: "etcd.quorum", Firm: true}},
		Findings: []finding.Finding{
			{Check: "config.flags", Severity: finding.Blocker, Where: "w1", What: "kubelet 1.27 does not start with --container-runtime: removed",
				Evidence: "/var/lib/kubelet/kubeadm-flags.env: --container-runtime=remote", Remedy: "remove it there, and in every drop-in of the kubelet, before its package is upgraded"},
			{Check: "host.clock", Severity: finding.Warning, Where: "w2", What: "its clock is 1m30s from that of the other hosts", Remedy: "see `timedatectl` there"},
			{Check: "api.unseen", Severity: finding.Note, Where: "cp1", What: "its API server runs for less than a day", Evidence: "\x1b[31mred", Remedy: "nothing"},
			{Check: "host.swap", Severity: finding.Blocker, Where: "w9", What: "swap is on", Remedy: "swapoff",
				Waived: &engine.Waiver{Check: "host.swap", Reason: "the kubelet is told to", Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}},
		},
	}
	for _, host := range strings.Fields("w2 w3 w4 w5 w6 w7 w8 w9 w10") {
		same := r.Findings[0]
		same.Where = host
		r.Findings = append(r.Findings, same)
	}
	finding.Sort(r.Findings)
	return r
}

// The report fits 80 columns, puts what is the same on many hosts together, and lets no byte of a host reach the terminal.
func TestPreflightPage(t *testing.T) {
	page := strings.Join(found().page(style{}, 80), "\n") + "\n"
	golden(t, "preflight.txt", page)
	for line := range strings.Lines(page) {
		if w := lipgloss.Width(strings.TrimSuffix(line, "\n")); w > 80 {
			t.Errorf("%d columns: %s", w, line)
		}
	}
	if strings.Contains(page, "\x1b") {
		t.Error("a byte of a host came through")
	}
}

// The JUnit report has a case for every check: what blocks has failed, what is waived was skipped.
func TestPreflightJUnit(t *testing.T) {
	var out bytes.Buffer
	if err := found().junit(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "preflight.xml", out.String())
	var s junitSuite
	if err := xml.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if s.Tests != 4 || s.Failures != 1 || s.Skipped != 1 {
		t.Errorf("%d tests, %d failures, %d skipped", s.Tests, s.Failures, s.Skipped)
	}
}

func TestPreflightVerdict(t *testing.T) {
	r := found()
	if code := exitCode(r.verdict()); code != exitRefused {
		t.Errorf("with a blocker: %d", code)
	}
	for i := range r.Findings {
		r.Findings[i].Waived = &engine.Waiver{}
	}
	if code := exitCode(r.verdict()); code != exitDone {
		t.Errorf("all waived: %d", code)
	}
}
