package main

import (
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/doctor"
)

func sickVisit() *visit {
	return &visit{Cluster: "https://10.0.0.1:6443", API: "connection refused", Hosts: 2, Took: 4.2, Diagnoses: []doctor.Diagnosis{
		{
			Host: "cp1", Component: "kube-apiserver", State: doctor.Restarting, Why: "it ends again and again",
			Log: []string{
				`E1122 04:12:19.000001       1 run.go:74] "command failed" err="open /etc/kubernetes/pki/nowhere.crt: no such file"`,
				strings.Repeat("word ", 60) + "unrecognized feature gate: Nonsense",
				"\x1b[31mred\x1b[0m " + strings.Repeat("x", 300),
			},
			Known: &doctor.Known{Title: "a component does not start because of a feature gate", Sources: []string{"kubernetes#100988"}, Seen: "unrecognized feature gate: Nonsense"},
			Next:  "take the feature gate out of /etc/kubernetes/manifests/kube-apiserver.yaml",
		},
		{Host: "cp1", Component: "kube-scheduler", State: doctor.Down, Why: "it does not run", Log: []string{"not shown"}, After: "kube-apiserver on cp1", Next: "cure kube-apiserver on cp1 first, then look again"},
	}}
}

func TestDoctorsPage(t *testing.T) {
	x := strings.Repeat("x", 69)
	want := `cp1
  ✗ kube-apiserver  restarting
    why    it ends again and again
    log    04:12:19 "command failed" err="open /etc/kubernetes/pki/nowhere.crt:
           no such file"
           word word word word word word word word word word word word word
           wo… unrecognized feature gate: Nonsense
           \x1b[31mred\x1b[0m
           ` + x[:69] + `
           ` + x[:69] + `
           ` + x[:49] + `…
    known  a component does not start because of a feature gate
           (kubernetes#100988)
    do     take the feature gate out of
           /etc/kubernetes/manifests/kube-apiserver.yaml
  · kube-scheduler  down
    why    it does not run
    do     cure kube-apiserver on cp1 first, then look again

  the API does not answer at https://10.0.0.1:6443: connection refused
1 to cure, 1 that will follow (2 hosts, 4.2s)`
	if diff := cmp.Diff(want, strings.Join(sickVisit().page(style{}, 80), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestDoctorsPageKeepsToTheWidth(t *testing.T) {
	for _, width := range []int{40, 60, 80, 132} {
		for _, line := range sickVisit().page(style{}, width) {
			if lipgloss.Width(line) > width {
				t.Errorf("%d columns of %d: %s", lipgloss.Width(line), width, line)
			}
			if strings.ContainsRune(line, 0x1b) {
				t.Errorf("a host's escape sequence comes through: %q", line)
			}
		}
	}
}
