//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Drains of w1 in which others have a say: who acts on the request for an eviction, a webhook that is against it or away, a
// ReplicaSet that places its pod here again, drivers that let go of volumes or do not. All are seen by who is asked in earnest:
// a real API server, and a webhook of its evictions.
func TestDrains(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e-full")
	}
	t.Parallel()
	l := up(t, 1, 2)
	l.equip()
	l.recover()
	planted := l.leaves()
	g := l.guard()
	for _, row := range []struct {
		name string
		do   func(l *lab, g *guard)
	}{
		{"an operator moves the pod when it sees the request", (*lab).actsOnRequest},
		{"a webhook denies for a while", (*lab).denied},
		{"a ReplicaSet names the node", func(l *lab, g *guard) { l.comesBack(g, (*operator).undisturbed) }},
		{"and upgrader is killed before an eviction is recorded", func(l *lab, g *guard) { l.comesBack(g, (*operator).killedBefore) }},
		{"and upgrader is killed after it", func(l *lab, g *guard) { l.comesBack(g, (*operator).killedAfter) }},
		{"a volume is detached late, and others never", (*lab).detachedLate},
		{"the webhook is gone", (*lab).unanswered},
		{"a webhook without endpoints", func(l *lab, _ *guard) { l.deserted() }},
		{"attachments that are late", func(l *lab, _ *guard) { l.tellsLate(planted) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			began := time.Now()
			row.do(l.in(t), g)
			l.in(t).figure("%s", time.Since(began), row.name)
		})
	}
}

// actsOnRequest proves that a pod is asked for although its budget allows nothing, since somebody may act on the very request, and
// that it is asked for at leisure.
func (l *lab) actsOnRequest(g *guard) {
	l.t.Helper()
	l.onW1("operated", "budget")
	var once sync.Once
	moved := make(chan error, 1)
	g.begin(func(a ask) string {
		once.Do(func() {
			time.AfterFunc(12*time.Second, func() { // so that it is asked for again meanwhile
				_, err := l.try("kubectl", "-n", a.namespace, "delete", "pod", a.pod, "--wait=false")
				moved <- err
			})
		})
		return ""
	})
	p := l.operator().run(l.draining("3m"))
	p.ends(0)
	l.promptly(p)
	asks := g.seen()
	l.t.Logf("%d requests", len(asks))
	if len(asks) < 2 || len(podsOf(asks)) != 1 {
		l.t.Errorf("want two or more, for one pod: %v", asks)
	}
	if err := <-moved; err != nil {
		l.t.Error(err)
	}
	for i := 1; i < len(asks); i++ {
		if pause := asks[i].at.Sub(asks[i-1].at); pause < 4*time.Second {
			l.t.Errorf("asked again after %s", pause)
		}
	}
	p.said("PDB operated/shop allows 0 (1 healthy, needs 1)")
	l.cordoned(map[string]bool{"cp1": false, "w1": false, "w2": false})
}

// denied proves that a denial of a webhook is waited for, in the webhook's own words and without advice about rights.
func (l *lab) denied(g *guard) {
	l.t.Helper()
	const denial = `admission webhook "guard.example.org" denied the request: volume is rebuilding`
	pod := l.onW1("rebuilding", "")
	var first time.Time
	var once sync.Once
	g.begin(func(a ask) string {
		once.Do(func() { first = a.at })
		if a.at.Sub(first) < 40*time.Second {
			return "volume is rebuilding"
		}
		return ""
	})
	o := l.operator()
	p := o.run(l.draining("3m"))
	said := o.statusWith(p, denial)
	if !strings.Contains(said, pod+" waits: "+denial) {
		l.t.Errorf("status does not name %s:\n%s", pod, said)
	}
	p.ends(0)
	l.promptly(p)
	for _, advice := range []string{"rbac", "auth can-i", "kubeadm certs"} {
		if strings.Contains(said+p.told(), advice) {
			l.t.Errorf("it speaks of %s:\n%s\n%s", advice, said, p.story())
		}
	}
	asks := g.seen()
	l.t.Logf("%d requests in %s", len(asks), asks[len(asks)-1].at.Sub(asks[0].at).Round(time.Second))
	if uids := podsOf(asks); len(uids) != 1 {
		l.t.Errorf("pods %v were asked for, want one", uids)
	}
}

// unanswered proves that a drain whose evictions no webhook answers for ends at its own timeout, and says which.
func (l *lab) unanswered(g *guard) {
	l.t.Helper()
	pod := l.onW1("unanswered", "")
	g.server.Close()
	p := l.operator().run(l.draining("40s"))
	p.ends(1, pod+" waits: ", `failed calling webhook "guard.example.org"`)
	if took := time.Since(p.began); took < 40*time.Second {
		l.t.Errorf("it gave up after %s", took)
	}
	l.promptly(p)
	l.cordoned(map[string]bool{"cp1": false, "w1": false, "w2": false})
	l.kubectl("delete", "validatingwebhookconfiguration", "guard")
}

// deserted proves that a webhook which nobody answers for is found before a drain meets it, and that it does refuse pods.
func (l *lab) deserted() {
	l.t.Helper()
	defer l.kubectl("delete", "namespace", "deserted", "--wait=false")
	defer l.kubectl("delete", "validatingwebhookconfiguration", "deserted")
	l.apply(drained(l, "deserted"))
	want := wanted{"blocker", "api.webhook", "ValidatingWebhookConfiguration deserted", "the API refuses CREATE pods in",
		"service deserted/answers has no pods\npods.deserted.example.org is asked about CREATE pods", "kubectl edit validatingwebhookconfiguration/deserted"}
	got := l.look(batch{plan: shipped()})
	if !slices.ContainsFunc(got.Findings, func(f found) bool { return want.is(f, l.hosts) }) || got.code != 4 {
		l.t.Errorf("exit code %d, and of this check there is\n%s", got.code, of(got.Findings, want.check))
	}
	_, err := l.try("kubectl", "-n", "default", "run", "any", "--image=registry.k8s.io/pause:3.9")
	if err == nil || !strings.Contains(err.Error(), `failed calling webhook "pods.deserted.example.org"`) {
		l.t.Errorf("a pod is made, or refused for another reason: %v", err)
	}
}
