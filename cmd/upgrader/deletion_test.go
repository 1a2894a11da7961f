package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"upgrader.dev/upgrader/steps/sandbox"
)

// The whole way of a deletion past a budget, against a cluster whose budget allows nothing: the plan says where, preflight tells of it
// with the reason, the drain deletes once half of its time is over, and the record holds why. Without the waiver the same drain runs out
// of time, and no pod is deleted.
func TestDeletionPastABudget(t *testing.T) {
	dir := t.TempDir()
	box, err := sandbox.Start(t.Context(), sandbox.Options{ControlPlanes: 1, Workers: 3, Dir: filepath.Join(dir, "box")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	keepAll(t, box, "shop/db")
	program := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		env := map[string]string{"HOME": dir, "USER": "tester", "UPGRADER_STATE_DIR": filepath.Join(dir, "state")}
		code := run(t.Context(), nil, append(args, "--inventory", box.Inventory, "--kubeconfig", box.Kubeconfig), strings.NewReader(""), &out, &errs, env)
		return code, out.String() + errs.String()
	}
	deleted := func() bool {
		return strings.Contains(textOf(t, filepath.Join(dir, "box", "effects.jsonl")), `"what":"delete","detail":"pods shop/db-`)
	}
	const waiver = "  - {check: drain.delete, where: shop/db-*, reason: CHG-4711, until: 2999-12-31}\n"

	without := fileWith(t, "without.yaml", fmt.Sprintf(draining, "", "3s"))
	if code, said := program("run", without, "--yes"); code != 1 || !strings.Contains(said, "timed out after 3s") || deleted() {
		t.Errorf("without the waiver: exit code %d, deleted %v:\n%s", code, deleted(), said)
	}
	with := fileWith(t, "with.yaml", fmt.Sprintf(draining, waiver, "20s"))
	if code, said := program("preflight", with); code != 0 || !strings.Contains(said, "past its budget") || !strings.Contains(said, "CHG-4711") {
		t.Errorf("preflight: exit code %d:\n%s", code, said)
	}
	if code, said := program("run", with, "--yes"); code != 0 || !strings.Contains(said, "delete past its budget, as the plan says (CHG-4711)") || !deleted() {
		t.Errorf("with it: exit code %d, deleted %v:\n%s", code, deleted(), said)
	}
}

const draining = `apiVersion: upgrader.dev/v1
kind: Plan
name: draining
waivers:
  - {check: drain.budget, where: "PodDisruptionBudget shop/*", reason: it is tried all the same, until: 2999-12-31}
%s
steps:
  - {uses: node.drain, hosts: w1, timeout: %s, with: {deleteEmptyDir: true, force: true}}
  - {uses: node.uncordon, hosts: w1}
`

// keepAll has a budget want all its pods.
func keepAll(t *testing.T, box *sandbox.Cluster, name string) {
	t.Helper()
	var budget map[string]any
	if err := json.Unmarshal([]byte(box.Object("poddisruptionbudgets", name)), &budget); err != nil {
		t.Fatal(err)
	}
	budget["spec"].(map[string]any)["maxUnavailable"] = 0
	text, err := json.Marshal(budget)
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Put("poddisruptionbudgets", string(text)); err != nil {
		t.Fatal(err)
	}
}
