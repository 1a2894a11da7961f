package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/approval"
)

// A decisionFile is what `upgrader approve` leaves in a run's directory.
type decisionFile struct {
	Node      string    `json:"node"`
	Verdict   string    `json:"verdict"`
	Who       string    `json:"who"`           // as they named themselves
	By        string    `json:"by,omitempty"`  // the operating system's user
	Why       string    `json:"why,omitempty"` // the reason they gave
	At        time.Time `json:"at"`
	Digest    string    `json:"digest,omitempty"`    // of the node as it was when they answered
	Signature string    `json:"signature,omitempty"` // of the text, by their SSH key
	Seal      string    `json:"seal"`                // by the run's key, of all that stands before
}

// answers says whether the decision is about the question as a node has it, and in a word that it can be answered with.
func (f decisionFile) answers(n *engine.Node) bool {
	return (f.Digest == "" || f.Digest == n.Digest) && engine.IsLateAnswer(f.Verdict) == (n.Kind != approval.Kind)
}

// isVerdict says whether a word is one of those that `upgrader approve` leaves.
func isVerdict(word string) bool {
	return word == engine.Approve || word == engine.Reject || engine.IsLateAnswer(word)
}

// decision is what the file says, for the engine. Of a signature it says nothing: that is to be verified.
func (f decisionFile) decision() engine.Decision {
	return engine.Decision{Verdict: f.Verdict, Who: f.Who, By: f.By, Why: f.Why, At: f.At, Digest: f.Digest}
}

// text is what is signed: all that the decision is about and all that it says, a line each, so that a signature fits no other run, plan,
// step, verdict, person or reason.
func (f decisionFile) text(run, plan string) []byte {
	return fmt.Appendf(nil, "upgrader decision, format 1\nrun: %q\nplan: %q\nstep: %q\nquestion: %q\ndecision: %q\nby: %q\nreason: %q\n",
		run, plan, f.Node, f.Digest, f.Verdict, f.Who, f.Why)
}

// sealed is the decision with its seal, so that no other file passes for one that `upgrader approve` has left.
func (f decisionFile) sealed(key []byte) (decisionFile, error) {
	f.Seal, f.At = "", f.At.UTC()
	data, err := json.Marshal(f)
	if err != nil {
		return f, fmt.Errorf("encoding the decision: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("decision "))
	mac.Write(data)
	f.Seal = hex.EncodeToString(mac.Sum(nil))
	return f, nil
}

// holds says whether the file is as it was sealed.
func (f decisionFile) holds(key []byte) bool {
	again, err := f.sealed(key)
	return err == nil && hmac.Equal([]byte(again.Seal), []byte(f.Seal))
}

func (d runDir) decisionPath(node string) string {
	return d.path("decisions", safeName(node)+".json")
}

// An operator is the person at this machine as the operating system has them, whatever they or their environment say.
type operator struct {
	name    string // of the user
	account string // for the record: ann, uid 1000
}

// theOperator is the user of this process, and behind sudo the one who called it: sudo sets SUDO_UID, and nobody but root can act as
// root without it.
func theOperator(env map[string]string) operator {
	uid := os.Getuid()
	if caller, err := strconv.Atoi(env["SUDO_UID"]); err == nil && uid == 0 && caller > 0 {
		o := accountOf(caller)
		o.account += ", by sudo"
		return o
	}
	return accountOf(uid)
}

func accountOf(uid int) operator {
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil {
		return operator{u.Username, u.Username + ", uid " + name}
	}
	return operator{name, "uid " + name}
}
