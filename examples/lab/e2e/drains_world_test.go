//go:build e2e

package e2e

import (
	"embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed testdata/drains
var drainObjects embed.FS

// onW1 makes a replica on w1 and returns its pod, Ready and counted. more is the file of what it has beside.
func (l *lab) onW1(namespace, more string) (pod string) {
	l.t.Helper()
	text := drained(l, "replica")
	switch more {
	case "named":
		text = strings.Replace(text, "    spec:\n", "    spec:\n      nodeName: w1\n", 1)
	case "volume":
		text = strings.Replace(text, "    spec:\n", "    spec:\n      volumes: [{name: held, persistentVolumeClaim: {claimName: held}}]\n", 1)
		text += drained(l, more)
	case "budget":
		text += drained(l, more)
	}
	l.kubectl("cordon", "w2")
	l.apply(strings.ReplaceAll(text, "NAMESPACE", namespace))
	l.await("cp1", running(namespace)+counted)
	l.kubectl("uncordon", "w2")
	name, node, _ := strings.Cut(l.kubectl("-n", namespace, "get", "pods", "-o", "jsonpath={.items[*].metadata.name} {.items[*].spec.nodeName}"), " ")
	if node != "w1" {
		l.t.Fatalf("pod %s is on %q", name, node)
	}
	return namespace + "/" + name
}

// drained is a file of objects.
func drained(l *lab, name string) string {
	l.t.Helper()
	text, err := drainObjects.ReadFile("testdata/drains/" + name + ".yaml")
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// draining is a plan that drains w1, does something there, and brings it back.
func (l *lab) draining(timeout string) string {
	l.t.Helper()
	return l.file("draining.yaml", fmt.Sprintf(`apiVersion: upgrader.dev/v1
kind: Plan
name: draining
waivers:
  - {check: drain.budget, reason: it is the test, until: 2999-12-31}
steps:
  - id: worker
    hosts: w1
    steps:
      - {id: drain, uses: node.drain, timeout: %s, with: {deleteEmptyDir: true}}
      - {id: work, uses: ssh.run, with: {run: "true"}}
      - {id: ready, uses: node.ready, with: {version: ""}}
      - {id: uncordon, uses: node.uncordon}
`, timeout))
}

// promptly requires that a process, which has ended, did not take longer than waiting for its reasons does, with other labs beside it.
func (l *lab) promptly(p *process) {
	l.t.Helper()
	if took := time.Since(p.began); took > 2*time.Minute {
		l.t.Errorf("it took %s: %s", took.Round(time.Second), p.story())
	}
}

// said requires words in what the process told.
func (p *process) said(words ...string) {
	p.t.Helper()
	for _, w := range words {
		if !strings.Contains(p.told(), w) {
			p.t.Errorf("%q is not in what it told: %s", w, p.story())
		}
	}
}

// told is all that a process told, a line for each record, and its errors.
func (p *process) told() string {
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, e := range p.events {
		fmt.Fprintf(&b, "%s %s %s %s %s %s\n", e.Kind, e.Node, e.State, e.Say, e.Of, e.Why)
	}
	return b.String() + p.stderr.String()
}

// statusWith is the first answer of `upgrader status` that has these words, while the process is at work.
func (o *operator) statusWith(p *process, words string) string {
	o.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		out, err := exec.Command(filepath.Join(programs, "upgrader"), "--state-dir", o.state, "status", "--output", "json").CombinedOutput()
		if strings.Contains(string(out), strings.ReplaceAll(words, `"`, `\"`)) {
			return strings.ReplaceAll(string(out), `\"`, `"`)
		}
		if time.Now().After(end) {
			o.t.Fatalf("status does not say %q (%v):\n%s\n%s", words, err, out, p.story())
		}
	}
}
