package plan_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine/plan"
)

// digestPlan has a step of every way in which a node's settings can come about: the same for all hosts, different for
// each, skipped on some, open until the run, defaulted, given through a fragment, and with characters that JSON escapes.
const digestPlan = header + `
vars:
  pause: {type: duration, default: 90s}
  words: {type: list, default: [ann, "b<o>b"]}
  token: {type: secret, default: "env:TOKEN"}
steps:
  - {uses: packages.available, hosts: all, with: {packages: {kubelet: "${{ versions.to }}"}}}
  - {id: some, uses: node.drain, hosts: all, when: "host.name != 'c2'", with: {limit: 3, gracePeriod: "${{ vars.pause }}"}}
  - {id: named, uses: ssh.run, hosts: workers, with: {run: "a && b > c", env: {AT: "${{ host.name }}", T: "${{ vars.token }}"}}}
  - {id: late, uses: ssh.run, hosts: workers, when: "facts['os@' + host.name] == 'x'", with: {run: "é\u2028", env: {AT: "${{ facts['os@' + host.name] }}"}}}
  - {id: never, uses: node.uncordon, hosts: workers, when: "1 == 2"}
  - id: group
    hosts: workers
    when: "host.labels['zone'] == 'a' || facts['all'] == 'y'"
    rollout: {maxUnavailable: 2, spreadBy: zone}
    steps:
      - {uses: kubeadm.upgrade, with: {ignorePreflightErrors: "${{ vars.words }}"}}
      - {uses: ./inner.yaml, with: {where: "${{ host.name }}", what: kubelet}}
      - {uses: node.uncordon}
  - {uses: approval, with: {message: "${{ hosts('workers').size() }} workers", approvers: []}}
finally:
  - {id: last, uses: wait, when: "run.state == 'failed'", with: {for: "${{ vars.pause }}"}}
`

const digestFragment = `apiVersion: upgrader.dev/v1
kind: Fragment
vars: {where: {}, what: {}, other: {default: o}}
steps:
  - {id: one, uses: ssh.run, with: {run: x, env: {W: "${{ vars.where }}/${{ vars.other }}"}}}
  - {id: two, uses: systemd.restart, with: {unit: "${{ vars.what }}"}}
`

// A resume repeats what has another digest. So the digests of what an operator did not edit stay as they are, for ever:
// this file is never written anew to make a test pass.
func TestDigestsAreForEver(t *testing.T) {
	p, err := plan.LoadFS(fstest.MapFS{"p/plan.yaml": {Data: []byte(digestPlan)}, "p/inner.yaml": {Data: []byte(digestFragment)}}, "p/plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.Expand(plan.Options{Catalog: catalog(t), Targets: inventory(2, 3)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, n := range g.Nodes {
		b.WriteString(n.Digest + " " + n.ID + "\n")
	}
	const file = "testdata/digests.golden"
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Error(d)

	}
}
