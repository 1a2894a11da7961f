package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
)

// A node's step can be had before the run: with what the plan says, the kind's defaults, and nothing where only the run can tell. It
// is not validated, and a node that never runs has the defaults only.
func TestOutline(t *testing.T) {
	g := expand(t, header+`
vars: {revision: {default: 1.28.15-1.1}}
steps:
  - {id: some, uses: packages.install, hosts: c1, with: {packages: {kubeadm: "${{ vars.revision }}", kubelet: "${{ facts['rev'] }}"}}}
  - {id: open, uses: packages.install, hosts: c1, with: {packages: {kubeadm: a}, hold: "${{ facts['hold'] == 'yes' }}"}}
  - {id: skipped, uses: packages.install, hosts: c1, when: versions.to == '2', with: {packages: {kubeadm: a}}}
  - {id: computed, uses: kubeadm.upgrade, hosts: c1}
  - {id: invalid, uses: kubeadm.upgrade, hosts: c1, with: {version: "${{ facts['v'] }}", ignorePreflightErrors: [Swap, "${{ facts['e'] }}", Mem]}}
  - {id: bare, uses: node.drain, hosts: c1}
  - {id: whole, uses: approval, with: {message: "${{ facts['m'] }}", approvers: "${{ facts['a'].split(',') }}"}}
`, plan.Options{})
	for id, want := range map[string]engine.Step{
		"some@c1":     &install{Packages: map[string]string{"kubeadm": "1.28.15-1.1", "kubelet": ""}, Hold: true},
		"open@c1":     &install{Packages: map[string]string{"kubeadm": "a"}},
		"skipped@c1":  &install{Hold: true},
		"computed@c1": &upgrade{Version: "1.28.15"},
		"invalid@c1":  &upgrade{Ignore: []string{"Swap", "Mem"}},
		"bare@c1":     &drain{},
		"whole":       &approval{},
	} {
		step, err := plan.Outline(catalog(t), g.Lookup(id))
		if diff := cmp.Diff(want, step, cmp.AllowUnexported(install{}, upgrade{}, drain{}, approval{})); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", id, err, diff)
		}
	}
}

// What only the run can tell of a node is known by name, wherever in a setting the expression stands.
func TestOpen(t *testing.T) {
	g := expand(t, header+`
steps:
  - {id: known, uses: packages.install, hosts: c1, with: {packages: {kubeadm: a}}}
  - {id: inner, uses: packages.install, hosts: c1, with: {hold: false, packages: {kubeadm: "${{ facts['rev'] }}"}}}
  - {id: both, uses: approval, with: {message: "on ${{ facts['m'] }}?", approvers: [ann, "${{ facts['a'] }}"]}}
`, plan.Options{})
	for id, want := range map[string][]string{"known@c1": nil, "inner@c1": {"packages"}, "both": {"approvers", "message"}} {
		if got := plan.Open(g.Lookup(id)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", id, got, want)
		}
	}
}

// What no expansion can have made is refused with its place: a kind that is not there, a setting of another type.
func TestOutlineOfNoNode(t *testing.T) {
	for want, n := range map[string]engine.Node{
		`a: this program has no kind "b"`: {ID: "a", Kind: "b"},
		`drain@w1: limit: "limit": `:      {ID: "drain@w1", Kind: "node.drain", With: map[string]any{"limit": "many"}},
		`drain@w1: a chan int cannot`:     {ID: "drain@w1", Kind: "node.drain", With: map[string]any{"limit": make(chan int)}},
	} {
		if step, err := plan.Outline(catalog(t), &n); err == nil || !strings.HasPrefix(err.Error(), want) || step != nil {
			t.Errorf("want %s, got %v and %v", want, step, err)
		}
	}
}
