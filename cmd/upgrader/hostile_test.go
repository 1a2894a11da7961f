package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable/hostile"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/sandbox"
)

// A stage is a pretend cluster whose nodes and machines say hostile things, and a plan that does.
type stage struct {
	t    *testing.T
	dir  string
	plan string
	on   []string // the flags that lead to the cluster
	box  *sandbox.Cluster

	looks int // at what came out
}

// yamlText is a text as a double-quoted scalar of YAML, whose escapes may stand for what no file may hold.
func yamlText(text string) string { return strconv.QuoteToASCII(strings.ToValidUTF8(text, "")) }

// sayable is what of hostile.Text a shell can say.
func sayable() string { return strings.ToValidUTF8(strings.ReplaceAll(hostile.Text(), "\x00", ""), "") }

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	box, err := sandbox.Start(t.Context(), sandbox.Options{ControlPlanes: 1, Workers: 1, Dir: filepath.Join(s.dir, "box"), NoWorkload: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	s.on = []string{"--kubeconfig", box.Kubeconfig, "--inventory", box.Inventory}
	s.box = box
	s.poisonNodes("True")
	s.poisonHosts()
	s.plan = filepath.Join(s.dir, "evil"+strings.ReplaceAll(hostile.Texts()[1], "/", "")+"\u202e.yaml")
	s.write(s.plan, fmt.Sprintf(`apiVersion: upgrader.dev/v1
kind: Plan
name: evil
description: %[1]s
steps:
  - id: look
    name: %[1]s
    uses: ssh.run
    hosts: workers
    with: {run: %[2]s, fact: said}
  - id: fail
    uses: ssh.run
    hosts: workers
    with:
      run: |
        cat /root/said; cat /root/said >&2; exit 3
      env: {SAID: %[3]s}
`, yamlText(hostile.Text()), yamlText("# "+sayable()+"\necho ok # "+sayable()), yamlText(sayable())))
	return s
}

func (s *stage) write(path, text string) {
	s.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// poisonNodes makes nodes say hostile things of themselves, and whether w1 is Ready.
func (s *stage) poisonNodes(ready string) {
	s.t.Helper()
	for _, name := range []string{"cp1", "w1"} {
		var node map[string]any
		if err := json.Unmarshal([]byte(s.box.Object("nodes", name)), &node); err != nil {
			s.t.Fatal(err)
		}
		status := node["status"].(map[string]any)
		info := status["nodeInfo"].(map[string]any)
		version, _, _ := strings.Cut(info["kubeletVersion"].(string), "evil")
		info["kubeletVersion"] = version + hostile.Text()
		info["containerRuntimeVersion"] = "containerd://1.0" + hostile.Text()
		for _, c := range status["conditions"].([]any) {
			c := c.(map[string]any)
			c["message"], c["reason"] = hostile.Text(), "Evil"+hostile.Text()
			if name == "w1" && c["type"] == "Ready" {
				c["status"] = ready
			}
		}
		text, err := json.Marshal(node)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.box.Put("nodes", string(text)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// poisonHosts writes hostile things into files that are looked at.
func (s *stage) poisonHosts() {
	s.t.Helper()
	inventory, err := remote.LoadInventory(s.box.Inventory)
	if err != nil {
		s.t.Fatal(err)
	}
	fleet := remote.NewFleet(remote.Config{Inventory: inventory})
	defer fleet.Close()
	for _, name := range []string{"cp1", "w1"} {
		h, err := fleet.Host(name)
		if err != nil {
			s.t.Fatal(err)
		}
		_, err = h.Run(s.t.Context(), engine.Ticket{ID: "poison-" + name, Epoch: 1}, remote.Script{
			Text: `printf '%s\n' "$SAID" >/root/said
printf 'KUBELET_EXTRA_ARGS=--container-runtime=remote%s\n' "$SAID" >/etc/default/kubelet
printf 'KUBELET_KUBEADM_ARGS="--container-runtime=remote%s --feature-gates=Evil%s=true"\n' "$SAID" "$SAID" >/var/lib/kubelet/kubeadm-flags.env
`, Env: map[string]string{"SAID": sayable()}})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// moves are what the live table draws with.
var moves = regexp.MustCompile(`(\x1b\[\d+A)?\r\x1b\[J`)

// says runs the program, looks at all that it writes, and returns its standard output.
func (s *stage) says(args ...string) string {
	s.t.Helper()
	var out, errs bytes.Buffer
	env := map[string]string{"UPGRADER_STATE_DIR": filepath.Join(s.dir, "state"), "HOME": s.dir, "USER": "tester", "LANG": "C.UTF-8"}
	code := run(s.t.Context(), nil, args, strings.NewReader(""), &out, &errs, env)
	s.looks += 2
	for stream, text := range map[string]string{"stdout": out.String(), "stderr": errs.String()} {
		if what, found := hostile.Obeyed(moves.ReplaceAllString(text, "")); found {
			s.t.Errorf("%q: %s came through to %s: %q", args, what, stream, around(text))
		}
		if len(text) > 200<<10 {
			s.t.Errorf("%q: %d bytes on %s", args, len(text), stream)
		}
	}
	s.t.Logf("%s %.20q: exit code %d, %d and %d bytes: %.300q", args[0], args[len(args)-1], code, out.Len(), errs.Len(), errs.String())
	return out.String()
}

// around is what stands about the first thing that came through.
func around(text string) string {
	for i := range text {
		if _, found := hostile.Obeyed(text[i:min(len(text), i+4)]); found {
			return text[max(0, i-60):min(len(text), i+60)]
		}
	}
	return ""
}

func (s *stage) wantsJSON(text string) {
	s.t.Helper()
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			s.t.Errorf("no JSON: %v in %.200q", err, text)
			return
		}
	}
}

// Whatever nodes, hosts, plans and the names of files say: nothing that a terminal obeys comes out of any command in any
// form, and what is JSON or XML stays so.
func TestNothingHostileComesOut(t *testing.T) {
	shipped, err := filepath.Abs("../../plans/1.27-to-1.28.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	t.Chdir(s.dir) // init writes there
	state := func(args ...string) []string { return append(args, s.on...) }

	s.says("validate", s.plan)
	bad := filepath.Join(s.dir, "bad"+filepath.Base(s.plan))
	s.write(bad, "apiVersion: upgrader.dev/v1\nkind: Plan\nname: "+yamlText("evil"+hostile.Text())+"\n"+yamlText(hostile.Text())+": 1\nsteps:\n  - uses: "+yamlText(hostile.Text())+"\n    id: "+yamlText(hostile.Text())+"\n")
	s.says("validate", bad, filepath.Join(s.dir, hostile.Texts()[1]))
	s.write(bad, "name: \u202e\x1b]52;c;eA==\x07\n")
	s.says("validate", bad)
	for _, format := range []string{"mermaid", "dot", "svg"} {
		s.says("graph", s.plan, "-o", format)
	}
	s.says("explain", hostile.Text())
	s.says("run", s.plan, "--var", hostile.Text()+"=1")

	for _, mode := range []string{"plain", "json", "tty"} {
		out := s.says(state("run", s.plan, "--dry-run", "--output", mode)...)
		if mode == "json" {
			s.wantsJSON(out)
		}
		out = s.says(state("run", s.plan, "--yes", "--output", mode)...)
		if mode == "json" {
			s.wantsJSON(out)
		}
		s.says("status")
		s.wantsJSON(s.says("status", "--output", "json"))
		s.says("runs")
		s.wantsJSON(s.says("runs", "--output", "json"))
		s.says("logs", newest(t, s.dir))
		s.says("resume", "--yes", "--output", mode)
		s.says("approve", newest(t, s.dir), hostile.Text())
	}

	s.poisonNodes("False")
	s.says(state("preflight", shipped)...)
	s.wantsJSON(s.says(append(state("preflight", shipped), "--output", "json")...))
	report := s.says(append(state("preflight", shipped), "--output", "junit")...)
	if err := xml.Unmarshal([]byte(report), &junitSuite{}); err != nil {
		t.Errorf("no XML: %v", err)
	}
	s.says(state("run", shipped, "--dry-run")...)
	s.says(state("run", shipped, "--yes", "--output", "plain")...)
	s.says(state("doctor")...)
	s.wantsJSON(s.says(append(state("doctor"), "--output", "json")...))
	s.says("init", "--kubeconfig", s.on[1])
	t.Logf("figure: %d outputs of the program with hostile words from everywhere: nothing came out raw", s.looks)
}

// newest is the run that was made last.
func newest(t *testing.T, dir string) string {
	t.Helper()
	var list bytes.Buffer
	run(t.Context(), nil, []string{"runs", "--output", "json"}, strings.NewReader(""), &list, io.Discard, map[string]string{"UPGRADER_STATE_DIR": filepath.Join(dir, "state"), "HOME": dir})
	var runs []runLine
	if err := json.Unmarshal(list.Bytes(), &runs); err != nil || len(runs) == 0 {
		t.Fatalf("no run, %v: %s", err, list.String())
	}
	return runs[0].Run
}
