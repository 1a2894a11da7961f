package kubeadm

import (
	"errors"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

func TestPlanAsksKubeadmOncePerRun(t *testing.T) {
	noted := func(f *files) { f.more = "plan v1.28.15 r1\n" }
	for name, tt := range map[string]struct {
		host    string
		files   files
		cluster *censustest.Cluster
		expect  engine.Facts
		says    string
		refuses string
	}{
		"not asked yet":         {host: "cp1", files: oldFiles, cluster: cluster(), says: "kubeadm upgrade plan v1.28.15"},
		"asked by this run":     {host: "cp1", files: with(oldFiles, noted), cluster: cluster()},
		"asked by another run":  {host: "cp1", files: with(oldFiles, func(f *files) { f.more = "plan v1.28.15 r0\n" }), cluster: cluster(), says: "kubeadm upgrade plan v1.28.15"},
		"another version":       {host: "cp1", files: with(oldFiles, func(f *files) { f.more = "plan v1.28.1 r1\n" }), cluster: cluster(), says: "kubeadm upgrade plan v1.28.15"},
		"upgraded already":      {host: "cp1", files: newFiles, cluster: first()},
		"half upgraded":         {host: "cp1", files: newFiles, cluster: cluster(), says: "kubeadm upgrade plan v1.28.15"},
		"no kubeadm":            {host: "cp1", files: with(oldFiles, func(f *files) { f.kubeadm = old }), cluster: cluster(), refuses: "let packages.install bring kubeadm"},
		"dry run, promised":     {host: "cp1", files: with(oldFiles, func(f *files) { f.kubeadm = old }), cluster: cluster(), expect: engine.Facts{facts.Package("cp1", "kubeadm"): "1.28.15-1.1"}, says: "kubeadm upgrade plan v1.28.15"},
		"dry run, planned":      {host: "cp1", files: oldFiles, cluster: cluster(), expect: engine.Facts{"planned@cp1": want}},
		"dry run, upgraded too": {host: "cp1", files: oldFiles, cluster: cluster(), expect: engine.Facts{facts.ControlPlane("cp1"): want}},
		"a worker":              {host: "w1", files: worker, cluster: cluster(), refuses: "w1 is no control plane"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Plan{hosts: remotetest.One(tt.host, &remotetest.Host{Answer: remotetest.Says(tt.files.say())}), cluster: tt.cluster, Version: want}
			changes, err := p.Observe(t.Context(), scene(tt.host, tt.expect))
			enginetest.Expect(t, err, "", tt.refuses)
			var says []string
			for _, c := range changes {
				says = append(says, c.Say)
			}
			if got := strings.Join(says, "\n"); got != tt.says {
				t.Errorf("says %q, want %q", got, tt.says)
			}
		})
	}
}

func TestPlanRefusesInKubeadmsWords(t *testing.T) {
	tail := "[preflight] Running pre-flight checks.\n[upgrade/health] FATAL: [preflight] Some fatal errors occurred:\n\t[ERROR CreateJob]: Job did not complete in 15s\nTo see the stack trace of this error execute with --v=5 or higher\nbye\n"
	h := &remotetest.Host{Answer: remotetest.Says(oldFiles.say()), Did: func(_ engine.Ticket, j remote.Job) error {
		if j.Env["RUN"] != "r1" || j.Env["VERSION"] != want {
			t.Errorf("%v", j.Env)
		}
		return &remote.ExitError{Host: "cp1", Code: 2, Tail: tail}
	}}
	p := &Plan{hosts: remotetest.One("cp1", h), cluster: cluster(), Version: want}
	changes, err := p.Observe(t.Context(), scene("cp1", nil))
	if err != nil {
		t.Fatal(err)
	}
	err = changes[0].Do(t.Context(), engine.Ticket{ID: "t1"})
	enginetest.Expect(t, err, "", "[ERROR CreateJob]: Job did not complete in 15s")
	if strings.Contains(err.Error(), "Running pre-flight checks") || strings.Contains(err.Error(), "bye") {
		t.Errorf("lines that name no fault are left out: %v", err)
	}
	if got := relevant("a\nb\nc\nd\ne\nf\n"); got != "b; c; d; e; f" {
		t.Errorf("without such lines the last ones count: %q", got)
	}
}

// Two health checks of kubeadm at once fail each other, so that the second waits until the first's Job is gone.
func TestWaitsForTheHealthCheckBefore(t *testing.T) {
	c := cluster()
	c.Ending = "kube-system/upgrade-health-check"
	hosts := remotetest.One("cp1", &remotetest.Host{Answer: remotetest.Says(oldFiles.say())})
	for _, kind := range Kinds(hosts, c) {
		step := enginetest.Made(t, kind, "version: "+want)
		changes, err := step.Observe(t.Context(), scene("cp1", nil))
		if _, waits := errors.AsType[*engine.NotYetError](err); !waits || len(changes) > 0 {
			t.Errorf("%T: %v, %v", step, changes, err)
		}
	}
}
