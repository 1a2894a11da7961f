package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/steps/sandbox"
)

var (
	kills  = flag.Int("torture.kills", 12, "how often the runner is killed in all, half of it under faults")
	seed   = flag.Uint64("torture.seed", 1, "of the moments and of the faults")
	within = flag.Duration("torture.within", 0, "the longest that a resume may take to its first new action; 0 only reports it, since a busy machine says nothing about it")
)

// killsPerRun is how often one run is killed before it is left to finish.
const killsPerRun = 10

// The runner is killed with SIGKILL at random moments, again and again, with and without faults of the network, the
// hosts and the API. Every resume must bring the cluster to the same end, and the sandbox's own record must show no
// effect twice, never more workers out of service than the plan allows, and nothing left cordoned.
func TestTorture(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	program := buildProgram(t)
	rnd := rand.New(rand.NewPCG(*seed, 0))
	for done, round := 0, 0; done < *kills; round++ {
		faults := ""
		if round%2 == 1 {
			faults = fmt.Sprintf("seed=%d,rate=0.02", *seed+uint64(round))
		}
		n := min(killsPerRun, *kills-done, max(*kills/2, 1))
		done += n
		t.Run(fmt.Sprintf("round %d, %d kills, faults %q", round, n, faults), func(t *testing.T) {
			newVictim(t, program, faults, rnd).upgrade(n)
		})
	}
}

func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "upgrader")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return program
}

// A victim is a pretend cluster and the runner that is killed while it upgrades it.
type victim struct {
	t       *testing.T
	program string
	dir     string
	rnd     *rand.Rand
	slowest time.Duration // from the start of a resume to its first new action
}

func newVictim(t *testing.T, program, faults string, rnd *rand.Rand) *victim {
	t.Helper()
	v := &victim{t: t, program: program, dir: t.TempDir(), rnd: rnd}
	v.writePlan()
	args := []string{"sandbox", "--control-planes", "3", "--workers", "5", "--version", "1.27.16", "--dir", v.dir}
	if faults != "" {
		args = append(args, "--faults", faults)
	}
	ctx, cancel := context.WithCancel(context.Background())
	box := exec.CommandContext(ctx, program, args...)
	out, err := box.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = box.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the sandbox did not start: %v", err)
	}
	return v
}

// writePlan is the shipped runbook, less patient: pretend kubelets are quick to restart their pods.
func (v *victim) writePlan() {
	v.t.Helper()
	plan, err := os.ReadFile("../../plans/1.27-to-1.28.yaml")
	if err == nil && !bytes.Contains(plan, []byte("stableFor: 10s")) {
		err = errors.New("there is no stableFor in it to shorten")
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(v.dir, "plan.yaml"), bytes.ReplaceAll(plan, []byte("stableFor: 10s"), []byte("stableFor: 1s")), 0o600)
	}
	if err != nil {
		v.t.Fatalf("writing the plan: %v", err)
	}
}

// command is one process of the runner: it runs until there is a run, and every other resumes. One that is killed early, as on a slow
// machine, leaves none.
func (v *victim) command(ctx context.Context) (*exec.Cmd, *bytes.Buffer) {
	args := []string{"--state-dir", filepath.Join(v.dir, "state"), "resume", "--yes", "--output", "plain"}
	if v.runDir() == "" {
		args = []string{"--state-dir", filepath.Join(v.dir, "state"), "run", filepath.Join(v.dir, "plan.yaml"), "--yes", "--output", "plain",
			"--kubeconfig", filepath.Join(v.dir, "kubeconfig"), "--inventory", filepath.Join(v.dir, "inventory.yaml"), "--var", "soak=1s"}
	}
	cmd := exec.CommandContext(ctx, v.program, args...)
	cmd.Env = append(os.Environ(), "UPGRADER_KEY_FILE="+filepath.Join(v.dir, "run.key"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

func (v *victim) upgrade(kills int) {
	for range kills {
		v.killed()
	}
	for range 3 { // faults may end a run well-behaved, with a message; a person would resume it
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		cmd, out := v.command(ctx)
		began, before := time.Now(), v.records()
		err := cmd.Run()
		cancel()
		v.measure(began, before)
		if err == nil {
			v.judge()
			return
		}
		v.t.Logf("the last resume ended with %v:\n%s", err, tail(out.String(), 30))
	}
	v.t.Fatal("no resume came to the end")
}

// killed starts a process and kills it at a random moment; most moments are early, as work is dense there.
func (v *victim) killed() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(300+v.rnd.IntN(2500))*time.Millisecond)
	defer cancel()
	cmd, out := v.command(ctx)
	cmd.Cancel = func() error { return cmd.Process.Kill() }
	began, before := time.Now(), v.records()
	err := cmd.Run()
	v.measure(began, before)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() >= 0) {
		v.t.Logf("ended by itself with %v before it was killed:\n%s", err, tail(out.String(), 15))
	}
}

func (v *victim) runDir() string {
	runs, _ := filepath.Glob(filepath.Join(v.dir, "state", "runs", "*", manifestName))
	if len(runs) != 1 {
		return ""
	}
	return filepath.Dir(runs[0])
}

func (v *victim) records() (records []journal.Record) {
	if v.runDir() == "" {
		return nil
	}
	err := journal.Scan(v.runDir(), func(rec *journal.Record) error {
		records = append(records, *rec)
		return nil
	})
	if err != nil {
		v.t.Fatalf("after a kill the journal is unreadable: %v", err)
	}
	return records
}

// measure notes how long a process took from its start to its first new action, if it came that far.
func (v *victim) measure(began time.Time, before []journal.Record) {
	if len(before) == 0 {
		return
	}
	for _, r := range v.records()[len(before):] {
		if r.Kind == journal.Start || r.Kind == journal.Intent {
			v.slowest = max(v.slowest, r.Time.Sub(began))
			return
		}
	}
}

var unavailable = regexp.MustCompile(`^(\d+)/5 workers`)

// judge asks the sandbox what really happened.
func (v *victim) judge() {
	effects, err := sandbox.ReadEffects(filepath.Join(v.dir, "effects.jsonl"))
	if err != nil {
		v.t.Fatal(err)
	}
	seen := map[string]int{}
	cordoned := map[string]bool{}
	most := 0
	for _, e := range effects {
		seen[e.Host+": "+e.What+": "+e.Detail]++
		switch e.What {
		case sandbox.Unavailable:
			if m := unavailable.FindStringSubmatch(e.Detail); m != nil {
				n, _ := strconv.Atoi(m[1])
				most = max(most, n)
			}
			delete(seen, e.Host+": "+e.What+": "+e.Detail)
		case sandbox.SkewViolation:
			v.t.Errorf("versions ran together that may not: %s %s", e.Host, e.Detail)
		case sandbox.EffectCordon:
			cordoned[e.Host] = true
		case sandbox.EffectUncordon:
			delete(cordoned, e.Host)
		}
	}
	if most > 1 {
		v.t.Errorf("%d workers were out of service at once, 1 is allowed", most)
	}
	if len(cordoned) > 0 {
		v.t.Errorf("left cordoned: %v", cordoned)
	}
	v.judgeRepeats(seen)
	v.judgeEnd()
	v.t.Logf("%d effects, %d workers out of service at most, first new action of the slowest resume after %s", len(effects), most, v.slowest.Round(time.Millisecond))
	if *within > 0 && v.slowest > *within {
		v.t.Errorf("a resume took %s to its first new action; %s are allowed", v.slowest, *within)
	}
}

// repeatable are the effects that mean nothing when they come twice.
var repeatable = []string{sandbox.EffectUpdate, sandbox.EffectCreate}

func (v *victim) judgeRepeats(seen map[string]int) {
	for effect, n := range seen {
		what := strings.SplitN(effect, ": ", 3)[1]
		if n > 1 && !slices.Contains(repeatable, what) {
			v.t.Errorf("%d times: %s", n, effect)
		}
	}
}

func (v *victim) judgeEnd() {
	cmd := exec.Command(v.program, "--state-dir", filepath.Join(v.dir, "state"), "status", "--output", "json")
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), `"state": "done"`) && !strings.Contains(string(out), `"state":"done"`) {
		v.t.Errorf("status says %v: %s", err, tail(string(out), 10))
	}
	records := v.records()
	if last := records[len(records)-1]; last.Kind != journal.End || last.State != "done" {
		v.t.Errorf("the journal ends with %s %s", last.Kind, last.State)
	}
	if _, err := os.Stat(filepath.Join(v.dir, "kubeconfig")); err != nil {
		v.t.Error(err)
	}
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
