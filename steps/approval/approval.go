// Package approval has the kind that asks a person: approval. It may import engine only.
package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
)

const doc = `Asks a person whether to go on, and pauses the run until one has answered.
It observes the decisions about the step: those given on the terminal, by --yes where no approvers are named, and by
` + "`upgrader approve`" + `. Where it has allowedSigners, only an answer that one of them has signed counts
(` + "`upgrader approve --sign`" + `), and only if it is one of the approvers, where those are named. Approved, it is done; rejected, it fails
and says by whom. It changes nothing.`

// Kind is the name of the kind. Who answers it is asked by it: any other question asks for a fact about a host, which only a
// person who looked can tell.
const Kind = "approval"

// Kinds returns the kinds of this family.
func Kinds() []engine.Kind {
	return []engine.Kind{{Name: Kind, Doc: doc, Scope: engine.OnCluster, New: func() engine.Step { return &Approval{} }}}
}

// Approval is the kind approval.
type Approval struct {
	Message        string   `yaml:"message" required:"true" doc:"The question."`
	Approvers      []string `yaml:"approvers" doc:"Who may answer, by the names that upgrader approve --as takes; anybody, if none are given."`
	AllowedSigners string   `yaml:"allowedSigners" doc:"The lines of an allowed_signers file (ssh-keygen(1)), such as: ann ssh-ed25519 AAAA... Then an answer has to be signed by the key of who gives it."`
}

// The settings that say who may answer, and how.
const (
	Approvers      = "approvers"
	AllowedSigners = "allowedSigners"
)

// Voters are these settings.
func Voters() []string { return []string{Approvers, AllowedSigners} }

// Validate checks that there is a question, and that everybody who may answer has a key, if keys are wanted.
func (a *Approval) Validate() error {
	if strings.TrimSpace(a.Message) == "" {
		return fmt.Errorf("message: is empty; say what is to be decided")
	}
	if a.AllowedSigners == "" {
		return nil
	}
	signers, err := parseSigners(a.AllowedSigners)
	if err != nil {
		return fmt.Errorf("allowedSigners: %w", err)
	}
	for _, who := range a.Approvers {
		if !signers.has(who) {
			return fmt.Errorf("approvers: %s has no key in allowedSigners, and could not answer", who)
		}
	}
	return nil
}

// DefaultTimeout leaves people a long weekend.
func (*Approval) DefaultTimeout() time.Duration { return 72 * time.Hour }

func (a *Approval) Observe(_ context.Context, s engine.Scene) ([]engine.Change, error) {
	d := s.Decision
	switch {
	case d.Verdict == "":
		return nil, engine.Pause("%s%s", a.Message, a.who())
	case len(a.Approvers) > 0 && !slices.Contains(a.Approvers, d.Who):
		return nil, engine.Pause("%s%s, and %s said %s", a.Message, a.who(), name(d.Who), d.Verdict)
	case a.AllowedSigners != "" && d.Key == "":
		return nil, engine.Pause("%s%s, and %s said %s without a signature", a.Message, a.who(), name(d.Who), d.Verdict)
	case d.Verdict == engine.Approve:
		return nil, nil
	case d.Verdict == engine.Reject:
		return nil, fmt.Errorf("rejected by %s: %s", name(d.Who), a.Message)
	}
	return nil, fmt.Errorf("%s decided %q; want approve or reject", name(d.Who), d.Verdict)
}

// who says who may answer, and how.
func (a *Approval) who() string {
	var rules []string
	if len(a.Approvers) > 0 {
		rules = append(rules, "only "+strings.Join(a.Approvers, ", ")+" can answer")
	}
	if a.AllowedSigners != "" {
		rules = append(rules, "signed, with upgrader approve --sign")
	}
	if len(rules) == 0 {
		return ""
	}
	return " (" + strings.Join(rules, ", ") + ")"
}

func name(who string) string {
	if who == "" {
		return "somebody without a name"
	}
	return who
}
