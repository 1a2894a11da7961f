package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// A ballot is a run with two approvals that want signatures: ann and bob may answer, eve has a key and may not.
type ballot struct {
	pinning
	t     *testing.T
	graph *engine.Graph
	keys  map[string]string // private keys, by name; mallory's stands nowhere
}

func newBallot(t *testing.T) ballot {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("no ssh-keygen on this machine")
	}
	b := ballot{t: t, keys: map[string]string{}}
	var lines []string
	for _, who := range []string{"ann", "bob", "eve", "mallory"} {
		path := filepath.Join(t.TempDir(), who)
		b.keygen("-q", "-t", "ed25519", "-N", "", "-C", who, "-f", path)
		public, err := os.ReadFile(path + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		if b.keys[who] = path; who != "mallory" {
			lines = append(lines, "          "+who+" "+strings.TrimSpace(string(public)))
		}
	}
	text := "apiVersion: upgrader.dev/v1\nkind: Plan\nname: ballot\nsteps:\n"
	for _, step := range []string{"go", "on"} {
		text += "  - id: " + step + "\n    uses: approval\n    with:\n      message: \"Go?\"\n      approvers: [ann, bob]\n      allowedSigners: |\n" + strings.Join(lines, "\n") + "\n"
	}
	b.pinning = pinningOf(t, text)
	var err error
	if b.graph, err = b.dir.graph(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b ballot) keygen(args ...string) string {
	b.t.Helper()
	out, err := exec.Command("ssh-keygen", args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// approve runs upgrader approve.
func (b ballot) approve(args ...string) (code int, out, errs string) {
	b.t.Helper()
	var o, e bytes.Buffer
	code = run(b.t.Context(), nil, append([]string{"approve", b.ID, "go", "--state-dir", b.state}, args...), strings.NewReader(""), &o, &e, b.env)
	return code, o.String(), e.String()
}

// taken is what the run's process makes of what was left.
func (b ballot) taken() (d engine.Decision, warned string) {
	b.t.Helper()
	key, err := findKey(b.env)
	if err != nil {
		b.t.Fatal(err)
	}
	in := newInbox(b.graph, b.dir, key.of(b.dir), nil)
	in.warn = func(words string) { warned += words + "\n" }
	d = in.Poll()["go"]
	if again := in.Poll()["go"]; again != d || strings.Count(warned, "\n") > 1 {
		b.t.Errorf("asked again: %+v, it says %s", again, warned)
	}
	return d, warned
}

// TestASignedAnswer proves that an answer counts that was signed here, or elsewhere, by somebody who may: with the fingerprint of the
// key, the operating system's user and the reason in the record.
func TestASignedAnswer(t *testing.T) {
	b := newBallot(t)
	me := theOperator(nil)
	for name, answer := range map[string]func() (int, string, string){
		"here": func() (int, string, string) {
			return b.approve("--as", "ann", "--reason", "CHG-4711", "--sign", b.keys["ann"])
		},
		"elsewhere": func() (int, string, string) {
			if code, text, errs := b.approve("--as", "ann", "--reason", "CHG-4711", "--print"); code == exitDone {
				path := fileWith(t, "decision", text)
				b.keygen("-q", "-Y", "sign", "-n", "upgrader.dev", "-f", b.keys["ann"], path)
				return b.approve("--as", "ann", "--reason", "CHG-4711", "--signature", path+".sig")
			} else {
				return code, text, errs
			}
		},
	} {
		code, _, errs := answer()
		fingerprint := strings.Fields(b.keygen("-l", "-f", b.keys["ann"]))[1]
		if code != exitDone || !strings.Contains(errs, "approved by ann, signed with "+fingerprint) {
			t.Errorf("%s: exit code %d, it says %s", name, code, errs)
		}
		d, warned := b.taken()
		if d.Verdict != engine.Approve || d.Who != "ann" || d.By != me.account || d.Why != "CHG-4711" || d.Key != fingerprint || warned != "" {
			t.Errorf("%s: %+v, it says %s", name, d, warned)
		}
		rec := d.Record("go")
		if words := engine.DecidedBy(&rec); words != "ann (user "+me.account+"), signed with "+fingerprint+": CHG-4711" {
			t.Errorf("%s: the record says %s", name, words)
		}
		if err := os.Remove(b.dir.decisionPath("go")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnAnswerThatIsNotSigned proves that `approve` leaves nothing that would not count, and says what is wrong.
func TestAnAnswerThatIsNotSigned(t *testing.T) {
	b := newBallot(t)
	other := fileWith(t, "other", "something else")
	b.keygen("-q", "-Y", "sign", "-n", "upgrader.dev", "-f", b.keys["ann"], other)
	for name, tt := range map[string]struct {
		args  []string
		words string
	}{
		"no signature":            {[]string{"--as", "ann"}, "answered with a signature only: give --sign KEY"},
		"a key that is not there": {[]string{"--as", "ann", "--sign", b.keys["ann"] + "x"}, "signing with "},
		"a stranger's key":        {[]string{"--as", "ann", "--sign", b.keys["mallory"]}, "is not one of ann over this run"},
		"another's key":           {[]string{"--as", "ann", "--sign", b.keys["bob"]}, "is not one of ann over this run"},
		"one who may not":         {[]string{"--as", "eve", "--sign", b.keys["eve"]}, "can be answered by ann, bob only, not by eve"},
		"of something else":       {[]string{"--as", "ann", "--signature", other + ".sig"}, "is not one of ann over this run"},
		"no signature at all":     {[]string{"--as", "ann", "--signature", other}, "is not one of ann over this run"},
		"a secret":                {[]string{"--as", "ann", "--reason", "see https://ann:hunter22@wiki/x", "--sign", b.keys["ann"]}, "looks like a password"},
		"a secret to be printed":  {[]string{"--as", "ann", "--reason", "see https://ann:hunter22@wiki/x", "--print"}, "looks like a password"},
		"an escape sequence":      {[]string{"--as", "ann", "--reason", "\x1b[2J", "--sign", b.keys["ann"]}, "without control characters"},
	} {
		if code, _, errs := b.approve(tt.args...); code != exitInvalid || !strings.Contains(errs, tt.words) {
			t.Errorf("%s: exit code %d, it says %s", name, code, errs)
		}
		if _, err := os.Lstat(b.dir.decisionPath("go")); err == nil {
			t.Errorf("%s: an answer was left", name)
		}
	}
}

// TestASignatureWhereTheRunTellsWho proves that a signature counts by the keys of the plan also where the run has to tell the approvers,
// which the step judges itself, and by no key that a run tells.
func TestASignatureWhereTheRunTellsWho(t *testing.T) {
	b := newBallot(t)
	if code, _, errs := b.approve("--as", "ann", "--sign", b.keys["ann"]); code != exitDone {
		t.Fatal(errs)
	}
	with := b.graph.Lookup("go").With
	with["approvers"] = `${{ facts["duty"].split(",") }}`
	if d, warned := b.taken(); d.Key == "" || warned != "" {
		t.Errorf("approvers of the run: %+v, it says %s", d, warned)
	}
	with["allowedSigners"] = `${{ facts["keys"] }}`
	if d, warned := b.taken(); d.Verdict != "" || !strings.Contains(warned, "keys that stand in the plan") {
		t.Errorf("keys of the run: %+v, it says %s", d, warned)
	}
}

// TestASignatureOfSomethingElse proves that the run's process itself counts no answer whose signature is of another run, plan, step,
// verdict, person or reason, and says so once: whoever can write to decisions/ and has the seal's key still cannot sign.
func TestASignatureOfSomethingElse(t *testing.T) {
	b := newBallot(t)
	f := decisionFile{Node: "go", Verdict: engine.Approve, Who: "ann", Why: "CHG-4711", Digest: b.graph.Lookup("go").Digest, At: time.Now()}
	signed := func(f decisionFile, run, plan, key string) string {
		signature, err := sign(t.Context(), b.keys[key], f.text(run, plan))
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	rejection, other, another, because := f, f, f, f
	rejection.Verdict, other.Node, because.Why = engine.Reject, "on", "CHG-4712"
	another.Who = "bob"
	for name, tt := range map[string]struct {
		signature string
		counts    bool
	}{
		"this decision":        {signed(f, b.ID, b.graph.Digest, "ann"), true},
		"another run":          {signed(f, b.ID+"x", b.graph.Digest, "ann"), false},
		"another plan":         {signed(f, b.ID, "sha256:0", "ann"), false},
		"another step":         {signed(other, b.ID, b.graph.Digest, "ann"), false},
		"the other verdict":    {signed(rejection, b.ID, b.graph.Digest, "ann"), false},
		"another reason":       {signed(because, b.ID, b.graph.Digest, "ann"), false},
		"another person":       {signed(another, b.ID, b.graph.Digest, "bob"), false},
		"another person's key": {signed(f, b.ID, b.graph.Digest, "bob"), false},
		"a stranger's key":     {signed(f, b.ID, b.graph.Digest, "mallory"), false},
		"nothing":              {"", false},
	} {
		f.Signature = tt.signature
		seal, err := trusts(b.console, b.listing)
		if err == nil {
			err = leave(b.listing, seal, f)
		}
		if err != nil {
			t.Fatal(err)
		}
		d, warned := b.taken()
		if tt.counts != (d.Verdict == engine.Approve) || tt.counts != (warned == "") {
			t.Errorf("of %s: %+v, it says %s", name, d, warned)
		}
		if !tt.counts && (!strings.Contains(warned, "ann") || !strings.Contains(warned, "--sign KEY")) {
			t.Errorf("of %s: it says %s", name, warned)
		}
	}
}

// TestApproveTellsAnEditedQuestion proves that nobody answers another question than the run asks.
func TestApproveTellsAnEditedQuestion(t *testing.T) {
	b := newBallot(t)
	graph, err := os.ReadFile(b.dir.path("graph.json"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, b.dir, "graph.json", bytes.Replace(graph, []byte("Go?"), []byte("No?"), 1))
	if code, _, errs := b.approve("--as", "ann", "--sign", b.keys["ann"]); code != exitInvalid || !strings.Contains(errs, "graph.json") {
		t.Errorf("exit code %d, it says %s", code, errs)
	}
}

// TestADecisionThatWasEdited flips a bit of every byte of what `upgrader approve` left, and wants it to be as it was or not to count.
func TestADecisionThatWasEdited(t *testing.T) {
	dir := runDir(t.TempDir())
	if err := os.Mkdir(dir.path("decisions"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := leaveFile(dir, decisionFile{Node: "go", Verdict: engine.Reject, Who: "kim", By: "kim, uid 7", Why: "not now", At: noon()}); err != nil {
		t.Fatal(err)
	}
	poll := func() engine.Decision { return newInbox(asking(), dir, testKey, nil).Poll()["go"] }
	whole := poll()
	text, err := os.ReadFile(dir.decisionPath("go"))
	if err != nil || whole.Verdict != engine.Reject {
		t.Fatal(whole, err)
	}
	for i := range text {
		edited := bytes.Clone(text)
		edited[i] ^= 1 << (i % 8)
		if err := os.WriteFile(dir.decisionPath("go"), edited, 0o600); err != nil {
			t.Fatal(err)
		}
		if d := poll(); d != whole && d != (engine.Decision{}) {
			t.Errorf("byte %d changed from %q to %q: %+v", i, text[i], edited[i], d)
		}
	}
}

// TestTheOperator proves that who answers is the operating system's user, whatever the environment calls them.
func TestTheOperator(t *testing.T) {
	me := theOperator(map[string]string{"USER": "kim", "LOGNAME": "kim", "SUDO_USER": "kim"})
	if me.name == "kim" || !strings.Contains(me.account, "uid ") || strings.Contains(me.account, "kim") {
		t.Errorf("%+v", me)
	}
	if os.Getuid() != 0 {
		t.Skip("only root is behind sudo")
	}
	if o := theOperator(map[string]string{"SUDO_UID": "4242"}); o.account != "uid 4242, by sudo" || o.name != "4242" {
		t.Errorf("%+v", o)
	}
}
