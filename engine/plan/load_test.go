package plan_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine/plan"
)

// write puts files into a new directory and returns the path of the first.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

const fragmentHeader = "apiVersion: upgrader.dev/v1\nkind: Fragment\n"

// Fragments see their inputs and nothing else of the plan, may use fragments of their own, and become a group at the top
// level and steps in place inside a group.
func TestFragments(t *testing.T) {
	name := write(t,
		"plan.yaml", header+`
vars: {grace: {type: duration, default: 90s}}
steps:
  - uses: version.skew
  - {id: first, uses: ./lib/node.yaml, hosts: "control-plane[0]", when: "host.name != 'x'", with: {limit: 1, grace: "${{ vars.grace }}"}}
  - id: rest
    hosts: "control-plane[1:]"
    steps:
      - {uses: node.drain}
      - {id: again, uses: ./lib/node.yaml, with: {limit: "${{ int(host.name.substring(1)) }}", grace: 1s}}
`,
		"lib/node.yaml", fragmentHeader+`
vars: {limit: {type: int}, grace: {type: duration}}
steps:
  - {uses: node.drain, with: {limit: "${{ vars.limit }}", gracePeriod: "${{ vars.grace }}"}}
  - {uses: ./more.yaml, with: {unit: kubelet}}
`,
		"lib/more.yaml", fragmentHeader+`
vars: {unit: {}, mode: {default: reload}}
steps:
  - {uses: systemd.restart, when: "vars.unit == 'kubelet'", with: {unit: "${{ vars.unit }}", mode: "${{ vars.mode }}"}}
`)
	p, err := plan.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.Expand(plan.Options{Catalog: catalog(t), Targets: inventory(2, 0)})
	if err != nil {
		t.Fatal(err)
	}
	want := `skew
first/drain@c1 <- skew
first/more/restart@c1 <- first/drain@c1
rest/drain@c2 <- first/more/restart@c1
rest/again/drain@c2 <- rest/drain@c2
rest/again/more/restart@c2 <- rest/again/drain@c2
`
	if d := cmp.Diff(want, outline(g)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]any{"limit": "2", "gracePeriod": "1s"}, g.Lookup("rest/again/drain@c2").With); d != "" {
		t.Error(d)
	}
	if at := g.Lookup("first/drain@c1").At; !strings.HasSuffix(at, "lib/node.yaml:6:5") {
		t.Errorf("the place of a fragment's step is in the fragment, got %s", at)
	}
	reload(t, p, g.Digest)
}

// reload reads the plan again from the files that were kept of it.
func reload(t *testing.T, p *plan.Plan, digest string) {
	t.Helper()
	files := p.Files()
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	if d := cmp.Diff([]string{"lib/more.yaml", "lib/node.yaml", "plan.yaml"}, names); d != "" {
		t.Error(d)
	}
	kept, err := loadBundle("kept", p.Main(), files)
	if err != nil {
		t.Fatal(err)
	}
	g, err := kept.Expand(plan.Options{Catalog: catalog(t), Targets: inventory(2, 0)})
	if err != nil || g.Digest != digest {
		t.Errorf("the kept plan means something else: %v", err)
	}
}

// Nothing is read that is not a regular file below the plan's directory.
func TestFragmentsStayBelow(t *testing.T) {
	outside := write(t, "secret.yaml", fragmentHeader+"steps: [{uses: node.drain}]\n")
	name := write(t, "plan.yaml", header+`
steps:
  - {id: a, hosts: all, uses: ./link.yaml}
  - {id: b, hosts: all, uses: ./pipe.yaml}
  - {id: c, hosts: all, uses: ./dir.yaml}
`)
	dir := filepath.Dir(name)
	if err := os.Symlink(outside, filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := plan.Load(name)
		done <- err
	}()
	select {
	case err := <-done:
		for _, want := range []string{":7:31: reading link.yaml: path escapes", ":8:31: reading pipe.yaml: not a regular file", ":9:31: reading dir.yaml: not a regular file"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want %q in\n%v", want, err)
			}
		}
	case <-time.After(10 * time.Second):
		t.Fatal("reading a pipe blocks")
	}
}

// No document makes the program panic, and what Check accepts Expand can be asked about.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		bundle, _ := unmark(sections(data))
		f.Add(bundle["plan.yaml"])
	}
	f.Add([]byte(header + "steps: [{id: g, hosts: all, rollout: {canary: 1}, steps: [{uses: node.drain, when: \"facts['a'] == host.name\"}]}]\n"))
	c := catalog(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parse(data)
		if p == nil {
			if err == nil {
				t.Fatal("neither a plan nor an error")
			}
			return
		}
		checked := p.Check(c)
		if err != nil && checked == nil {
			t.Fatalf("Check forgets %v", err)
		}
		g, expanded := p.Expand(plan.Options{Catalog: c, Targets: inventory(2, 3)})
		if checked != nil && expanded == nil {
			t.Fatalf("Expand accepts what Check refuses: %v", checked)
		}
		if g == nil {
			return
		}
		b := plan.NewBinder(c)
		for i := range g.Nodes {
			_, _ = b.Bind(&g.Nodes[i], nil, nil)
		}
	})
}
