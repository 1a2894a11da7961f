package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/steps/approval"
)

// asking is a graph with an approval that anybody may answer, one that names approvers, some whose approvers or keys only a run can
// tell, one that no plan can have, and another step.
func asking() *engine.Graph {
	cluster := engine.Target{Name: engine.Cluster}
	return &engine.Graph{Nodes: []engine.Node{
		{ID: "go", Step: "go", Kind: approval.Kind, Target: cluster, With: map[string]any{"message": "?"}},
		{ID: "named", Step: "named", Kind: approval.Kind, Target: cluster, With: map[string]any{"message": "?", "approvers": []any{"kim"}}},
		{ID: "told", Step: "told", Kind: approval.Kind, Target: cluster, With: map[string]any{"message": "?", "approvers": `${{ facts["duty"].split(",") }}`}},
		{ID: "listed", Step: "listed", Kind: approval.Kind, Target: cluster, With: map[string]any{"message": "?", "approvers": []any{`${{ facts["duty"] }}`}}},
		{ID: "keyed", Step: "keyed", Kind: approval.Kind, Target: cluster, With: map[string]any{"message": "?", "allowedSigners": `${{ facts["keys"] }}`}},
		{ID: "broken", Step: "broken", Kind: approval.Kind, Target: cluster, With: map[string]any{"message": "?", "approvers": "kim"}},
		{ID: "run@w1", Step: "run", Kind: "ssh.run", Target: engine.Target{Name: "w1"}},
	}}
}

var testKey = []byte("the key of the run")

// leaveFile leaves a decision as `upgrader approve` does.
func leaveFile(dir runDir, f decisionFile) error {
	f, err := f.sealed(testKey)
	return errors.Join(err, writeJSON(dir.decisionPath(f.Node), f))
}

// TestInboxWithoutATerminal proves what --yes answers, and that nobody waits where nobody sits.
func TestInboxWithoutATerminal(t *testing.T) {
	for _, tt := range []struct {
		node string
		yes  bool
		want string
	}{
		{"go", false, ""},
		{"go", true, engine.Approve},
		{"named", true, ""},  // --yes is not the person named
		{"run@w1", true, ""}, // a question about facts, not a wish
		{"nowhere", true, ""},
		{"told", true, ""},   // it names somebody: nobody knows yet whom
		{"listed", true, ""}, // and so does this
		{"keyed", true, ""},
		{"broken", true, ""},
	} {
		b := newInbox(asking(), runDir(t.TempDir()), testKey, nil)
		b.yes = tt.yes
		d, ok := b.Ask(t.Context(), tt.node, "?")
		if d.Verdict != tt.want || ok != (tt.want != "") {
			t.Errorf("Ask(%s) with yes=%v: %+v, %v", tt.node, tt.yes, d, ok)
		}
	}
}

// TestInboxAtATerminal proves that the terminal answers, that a file answers first if it comes first, and that a person
// who is not named is not asked.
func TestInboxAtATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := runDir(t.TempDir())
		if err := os.Mkdir(dir.path("decisions"), 0o700); err != nil {
			t.Fatal(err)
		}
		b := newInbox(asking(), dir, testKey, nil)
		b.me = operator{"lee", "lee, uid 7"}
		b.ask = func(context.Context, string) (string, error) { return "y", nil }
		if d, ok := b.Ask(t.Context(), "go", "?"); !ok || d.Verdict != engine.Approve || d.Who != "lee" || d.By != "lee, uid 7" {
			t.Errorf("typed yes: %+v, %v", d, ok)
		}
		b.ask = func(context.Context, string) (string, error) { return "", nil }
		if d, ok := b.Ask(t.Context(), "go", "?"); !ok || d.Verdict != engine.Reject {
			t.Errorf("typed no: %+v, %v", d, ok)
		}
		b.ask = func(context.Context, string) (string, error) { t.Error("asked who is not named"); return "y", nil }
		go func() {
			time.Sleep(3 * time.Second)
			if err := leaveFile(dir, decisionFile{Node: "named", Verdict: engine.Approve, Who: "kim", At: time.Now()}); err != nil {
				t.Error(err)
			}
		}()
		if d, ok := b.Ask(t.Context(), "named", "?"); !ok || d.Who != "kim" {
			t.Errorf("by file: %+v, %v", d, ok)
		}
		var told string
		b.warn = func(words string) { told += words + "\n" }
		for _, node := range []string{"told", "listed", "keyed", "broken"} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if d, ok := b.Ask(ctx, node, "?"); ok || !strings.Contains(told, "step "+node) {
				t.Errorf("who may answer is not known: %+v, %v, told %q", d, ok, told)
			}
			cancel()
		}
	})
}

// TestAnswersAboutAStepThatRanOutOfTime proves that --yes answers no such question, that the terminal is asked until it says one of the
// three words, that a file answers one question and not the next, and only with a word that fits, and that Poll keeps it for Ask.
func TestAnswersAboutAStepThatRanOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := runDir(t.TempDir())
		if err := os.Mkdir(dir.path("decisions"), 0o700); err != nil {
			t.Fatal(err)
		}
		g := asking()
		g.Nodes[len(g.Nodes)-1].OnTimeout = engine.AskPerson
		b := newInbox(g, dir, testKey, nil)
		b.yes, b.me = true, operator{"lee", "lee, uid 7"}
		if d, ok := b.Ask(t.Context(), "run@w1", "?"); ok {
			t.Errorf("--yes: %+v", d)
		}
		lines := []string{"y", "", " Skip "}
		b.ask = func(context.Context, string) (string, error) {
			line := lines[0]
			lines = lines[1:]
			return line, nil
		}
		if d, ok := b.Ask(t.Context(), "run@w1", "?"); !ok || d.Verdict != engine.SkipHost || d.Who != "lee" || len(lines) > 0 {
			t.Errorf("typed: %+v, %v", d, ok)
		}
		b.ask = func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }
		for _, verdict := range []string{engine.Approve, engine.WaitOn} {
			if err := leaveFile(dir, decisionFile{Node: "run@w1", Verdict: verdict, Who: "kim", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			if n := len(b.Poll()); n != 0 {
				t.Errorf("%s: Poll has %d decisions", verdict, n)
			}
			for _, want := range []bool{verdict == engine.WaitOn, false} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if d, ok := b.Ask(ctx, "run@w1", "?"); ok != want || ok && (d.Verdict != engine.WaitOn || d.Who != "kim") {
					t.Errorf("%s by file: %+v, %v, want %v", verdict, d, ok, want)
				}
				cancel()
			}
		}
	})
}

// TestADecisionCountsOnce proves that a file whose decision the journal has already is not read again.
func TestADecisionCountsOnce(t *testing.T) {
	dir := runDir(t.TempDir())
	if err := os.Mkdir(dir.path("decisions"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := leaveFile(dir, decisionFile{Node: "go", Verdict: engine.Reject, Who: "kim", At: noon()}); err != nil {
		t.Fatal(err)
	}
	if n := len(newInbox(asking(), dir, testKey, nil).Poll()); n != 1 {
		t.Errorf("fresh: %d decisions", n)
	}
	past := []journal.Record{{Kind: journal.Decision, Node: "go", Time: noon().Add(time.Second)}}
	if n := len(newInbox(asking(), dir, testKey, historyOf(asking(), past).decided).Poll()); n != 0 {
		t.Errorf("used: %d decisions", n)
	}
}

// TestAnAnswerIsToTheQuestionThatWasAsked proves that a decision carries the digest of its question, and counts only while
// the plan asks that.
func TestAnAnswerIsToTheQuestionThatWasAsked(t *testing.T) {
	dir := runDir(t.TempDir())
	if err := os.Mkdir(dir.path("decisions"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := leaveFile(dir, decisionFile{Node: "go", Verdict: engine.Approve, Who: "kim", At: noon(), Digest: "as asked"}); err != nil {
		t.Fatal(err)
	}
	g := asking()
	for digest, want := range map[string]int{"as asked": 1, "edited": 0} {
		g.Nodes[0].Digest = digest
		var errs bytes.Buffer
		records, err := (&resumeOptions{}).decisions(&session{console: newConsole(nil, nil, &errs, nil, nil), graph: g, dir: dir, key: testKey, history: newHistory(g)})
		if err != nil || len(records) != want || want == 1 && records[0].Digest != digest {
			t.Errorf("digest %q: %+v, %v", digest, records, err)
		}
		if told := strings.Contains(errs.String(), "asked anew"); told != (want == 0) {
			t.Errorf("digest %q: %s", digest, &errs)
		}
	}
	g.Nodes[0].Digest = "edited"
	b := newInbox(g, dir, testKey, nil)
	b.yes = true
	if d, ok := b.Ask(t.Context(), "go", "?"); !ok || d.Digest != "edited" {
		t.Errorf("--yes: %+v, %v", d, ok)
	}
}

// TestSettle proves what --settle takes, and that a host is meant only where the plan no longer has it and the run was
// at work there.
func TestSettle(t *testing.T) {
	g := sample()
	past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Intent, Node: "workers/drain@w9", Host: "w9"}, {Kind: journal.Start, Node: "workers/drain@w8"}, {Kind: journal.Intent, Node: "preflight", Host: engine.Cluster}}
	for word, want := range map[string]string{
		"preflight=done":         "preflight",
		"workers/drain@w1=retry": "workers/drain@w1",
		"w9=done":                "host w9",
		"w8=done":                "host w8",
		"w9=retry":               "nothing can be tried again",
		"w1=done":                "STEP@w1=done",
		"w7=done":                "has no step",
		"cluster=done":           "has no step",
		"=done":                  "has no step",
		"workers/drain=done":     "is on 3 hosts",
		"preflight":              "want STEP=done",
	} {
		rec, err := settled(g, historyOf(g, past), word)
		got := rec.Node
		if rec.Host != "" {
			got = "host " + rec.Host
		}
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || err == nil && got != want {
			t.Errorf("--settle %s: %s, want %s", word, got, want)
		}
	}
}

// TestSettleAHostThatARolloutLost proves that the word is taken which a rollout without room asks for, also about a host that the
// inventory still has.
func TestSettleAHostThatARolloutLost(t *testing.T) {
	g := &engine.Graph{Targets: []engine.Target{{Name: "w1"}, {Name: "w2"}}, Groups: []engine.Group{{ID: "workers", Hosts: []string{"w2"}, MaxUnavailable: 1}}}
	past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Intent, Node: "workers/drain@w1", Host: "w1", Group: "workers", Ticket: "t1"}}
	rec, err := settled(g, historyOf(g, past), "w1=done")
	if err != nil || rec.Host != "w1" {
		t.Errorf("%+v, %v", rec, err)
	}
}

// TestOutputs proves that the raw bytes are kept and the last line is known, also of a progress bar.
func TestOutputs(t *testing.T) {
	g := sample()
	o := newOutputs(runDir(t.TempDir()), newBoard(g))
	w := o.Open("workers/drain@w1")
	for _, part := range []string{"first\nsec", "ond\n", "10%\r50%", "\r100%", " done", "\n"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.Last("workers/drain@w1"); got != "100% done" {
		t.Errorf("last line %q", got)
	}
	o.Close()
	path := o.dir.log(g.Lookup("workers/drain@w1"))
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "first\nsecond\n10%\r50%\r100% done\n" {
		t.Errorf("log %q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if tail := strings.Join(tailOf(path), "|"); tail != "first|second|100% done" {
		t.Errorf("tail %q", tail)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("a long line ", 1<<20)+"\nE: broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if tail := strings.Join(tailOf(path), "|"); len(tail) > 4<<10 || !strings.HasSuffix(tail, "|E: broken") {
		t.Errorf("tail of %d bytes, %.100q", len(tail), tail)
	}
}
