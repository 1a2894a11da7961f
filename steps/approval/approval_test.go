package approval

import (
	"errors"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
)

func TestApproval(t *testing.T) {
	ann := []string{"ann", "bob"}
	tests := []struct {
		name      string
		approvers []string
		signers   string
		decision  engine.Decision
		pause     string
		fail      string
	}{
		{name: "nobody has decided", pause: "Go on?"},
		{name: "nobody of those who may", approvers: ann, pause: "Go on? (only ann, bob can answer)"},
		{name: "approved", decision: engine.Decision{Verdict: "approve", Who: "eve"}},
		{name: "approved by --yes", decision: engine.Decision{Verdict: "approve"}},
		{name: "approved by one who may", approvers: ann, decision: engine.Decision{Verdict: "approve", Who: "bob"}},
		{name: "approved by one who may not", approvers: ann, decision: engine.Decision{Verdict: "approve", Who: "eve"},
			pause: "Go on? (only ann, bob can answer), and eve said approve"},
		{name: "rejected by one who may not", approvers: ann, decision: engine.Decision{Verdict: "reject"},
			pause: "Go on? (only ann, bob can answer), and somebody without a name said reject"},
		{name: "rejected", decision: engine.Decision{Verdict: "reject", Who: "ann"}, fail: "rejected by ann: Go on?"},
		{name: "nobody has signed", approvers: ann, signers: keyOfAnn, pause: "Go on? (only ann, bob can answer, signed, with upgrader approve --sign)"},
		{name: "approved without a signature", approvers: ann, signers: keyOfAnn, decision: engine.Decision{Verdict: "approve", Who: "ann"},
			pause: "Go on? (only ann, bob can answer, signed, with upgrader approve --sign), and ann said approve without a signature"},
		{name: "signed by one who may", approvers: ann, signers: keyOfAnn, decision: engine.Decision{Verdict: "approve", Who: "ann", Key: "SHA256:x"}},
		{name: "signed by one who may not", approvers: ann, signers: keyOfAnn, decision: engine.Decision{Verdict: "approve", Who: "eve", Key: "SHA256:x"},
			pause: "Go on? (only ann, bob can answer, signed, with upgrader approve --sign), and eve said approve"},
		{name: "signed by any who has a key", signers: keyOfAnn, decision: engine.Decision{Verdict: "approve", Who: "ann", Key: "SHA256:x"}},
		{name: "nonsense", decision: engine.Decision{Verdict: "maybe", Who: "ann"}, fail: `ann decided "maybe"; want approve or reject`},
	}
	for _, tt := range tests {
		a := &Approval{Message: "Go on?", Approvers: tt.approvers, AllowedSigners: tt.signers}
		changes, err := a.Observe(t.Context(), engine.Scene{Decision: tt.decision})
		got := ""
		if err != nil {
			got = err.Error()
		}
		_, paused := errors.AsType[*engine.PausedError](err)
		if len(changes) > 0 || got != tt.pause+tt.fail || paused != (tt.pause != "") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

const keyOfAnn = "ann ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIpAFd8YBQVUQ5Lq2hLxNpYb3Ua4n3d9M8hG0mM0xEbO ann@desk"

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		step Approval
		want string
	}{
		{"no question", Approval{Message: " "}, "message: is empty; say what is to be decided"},
		{"a key for everybody", Approval{Message: "?", Approvers: []string{"ann"}, AllowedSigners: "# ours\n\n" + keyOfAnn + "\n"}, ""},
		{"options, several names and patterns", Approval{Message: "?", Approvers: []string{"bob@example.org", "cy"},
			AllowedSigners: strings.Replace(keyOfAnn, "ann ", `*@example.org,cy namespaces="upgrader.dev" `, 1)}, ""},
		{"blanks and quotes as ssh-keygen takes them", Approval{Message: "?", Approvers: []string{"ann"},
			AllowedSigners: strings.Replace(keyOfAnn, "ann ", "\"ann\"\tnamespaces=\"a b\"\t", 1)}, ""},
		{"one without a key", Approval{Message: "?", Approvers: []string{"ann", "bob"}, AllowedSigners: keyOfAnn},
			"approvers: bob has no key in allowedSigners, and could not answer"},
		{"a name of a file", Approval{Message: "?", AllowedSigners: "signers.txt"},
			`allowedSigners: line 1, "signers.txt": want names and a public key, as in: ann ssh-ed25519 AAAA`},
		{"a key of another type than it says", Approval{Message: "?", AllowedSigners: strings.Replace(keyOfAnn, "ssh-ed25519", "ssh-rsa", 1)},
			`allowedSigners: line 1, "` + strings.Replace(keyOfAnn, "ssh-ed25519", "ssh-rsa", 1) + `": want names and a public key, as in: ann ssh-ed25519 AAAA`},
		{"no key", Approval{Message: "?", AllowedSigners: "# none\n"}, "allowedSigners: holds no key; leave it out if answers need no signature"},
	} {
		got := ""
		if err := tt.step.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
