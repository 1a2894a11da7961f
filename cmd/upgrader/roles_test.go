package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/sandbox"
)

// A control plane that has lost its label is told as that, with the command that gives it back, by whatever would make
// groups of the labels; and no inventory with the wrong groups is written.
func TestALostLabelIsToldBeforeAnythingIsPlanned(t *testing.T) {
	dir := t.TempDir()
	box, err := sandbox.Start(t.Context(), sandbox.Options{ControlPlanes: 1, Workers: 1, Dir: filepath.Join(dir, "box"), NoWorkload: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	var node map[string]any
	if err := json.Unmarshal([]byte(box.Object("nodes", "cp1")), &node); err != nil {
		t.Fatal(err)
	}
	labels, _ := node["metadata"].(map[string]any)["labels"].(map[string]any)
	delete(labels, kube.ControlPlaneLabel)
	text, err := json.Marshal(node)
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Put("nodes", string(text)); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HOME": dir, "USER": "tester", "UPGRADER_STATE_DIR": filepath.Join(dir, "state")}
	for name, args := range map[string][]string{
		"init":                      {"init", "--dir", dir},
		"an inventory of nodes":     {"preflight", "1.27-to-1.28"},
		"a run with one":            {"run", "1.27-to-1.28", "--yes"},
		"an inventory of its own":   {"preflight", "1.27-to-1.28", "--inventory", box.Inventory},
		"a run with one of its own": {"run", "1.27-to-1.28", "--yes", "--inventory", box.Inventory},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), nil, append(args, "--kubeconfig", box.Kubeconfig), strings.NewReader(""), &out, &errs, env)
		said := strings.Join(strings.Fields(out.String()+errs.String()), " ")
		if code != exitRefused || !strings.Contains(said, "`kubectl label node cp1 node-role.kubernetes.io/control-plane=`") {
			t.Errorf("%s: exit code %d: %s", name, code, said)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "inventory.yaml")); err == nil {
		t.Error("an inventory was written")
	}
	if box.Effects != "" && textOf(t, box.Effects) != "" {
		t.Errorf("something was changed: %s", textOf(t, box.Effects))
	}
}

// What is wrong with a plan is told also where the cluster does not tell which pods it runs.
func TestAClusterThatDoesNotTellItsRoles(t *testing.T) {
	fault, lost := errors.New("plan.yaml:3: variable x has no value"), errors.Join(engine.Refuse("cp1: it runs a control plane", "label it"))
	for roles, want := range map[error]error{nil: fault, errors.New("reading the pods of kube-system: forbidden"): fault, lost: lost} {
		if err := orRoles(roles, fault); !errors.Is(err, want) {
			t.Errorf("%v: %v", roles, err)
		}
	}
}
