package main

import (
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps/approval"
)

// voters are who may answer an approval, and how, read by the kind's own tags. What only the run can tell is open, and nobody is
// taken for one who may answer because of it. The step itself looks at every answer again, with everything known.
type voters struct {
	approval.Approval
	open   []string // settings that say who may answer, and are not known
	unread error    // why none could be read
}

// votersOf are the voters of an approval, as far as the facts tell that a run has found out. The keys of signers are taken from the
// plan only: whoever verifies a signature need not be the process that found out the facts.
// Anybody may say how to go on with a step of another kind, which has run out of time.
func votersOf(n *engine.Node, known engine.Facts) voters {
	if n.Kind != approval.Kind {
		return voters{}
	}
	catalog, err := engine.NewCatalog(approval.Kinds()...)
	if err != nil {
		return voters{open: approval.Voters(), unread: err}
	}
	asked := *n
	asked.When = "" // whether it is asked at all is not the question here
	step, err := plan.Outline(catalog, &asked)
	if err != nil {
		return voters{open: approval.Voters(), unread: err}
	}
	v := voters{Approval: *step.(*approval.Approval)}
	v.open = slices.DeleteFunc(plan.Open(n), func(setting string) bool { return !slices.Contains(approval.Voters(), setting) })
	if v.keysOpen() {
		return v
	}
	if bound, err := plan.NewBinder(catalog).Bind(&asked, known, nil); err == nil && bound.Step != nil {
		return voters{Approval: *bound.Step.(*approval.Approval)}
	}
	return v
}

// question is the question, to be put behind a word; nothing where only the run can tell it.
func (v voters) question() string {
	if v.Message == "" {
		return ""
	}
	return fmt.Sprintf(", %q", v.Message)
}

// anybody says whether there is no rule at all.
func (v voters) anybody() bool {
	return len(v.open) == 0 && len(v.Approvers) == 0 && v.AllowedSigners == ""
}

// named says whether the approvers, if there are any, have this name.
func (v voters) named(who string) bool {
	return !slices.Contains(v.open, approval.Approvers) && (len(v.Approvers) == 0 || slices.Contains(v.Approvers, who))
}

// signed says whether an answer has to be signed, or may have to be.
func (v voters) signed() bool { return v.AllowedSigners != "" || v.keysOpen() }

// signedBy is the fingerprint of the key that signed an answer's text. The error says why no key did that counts.
func (v voters) signedBy(f decisionFile, text []byte) (string, error) {
	if v.keysOpen() {
		return "", v.notKnown(f.Node)
	}
	key, err := verify(v.AllowedSigners, f.Who, text, f.Signature)
	if err != nil {
		return "", notSigned(f, err)
	}
	return key, nil
}

func (v voters) keysOpen() bool { return slices.Contains(v.open, approval.AllowedSigners) }

// notKnown says why it cannot be told who may answer a step, and what to do; nil where it can.
func (v voters) notKnown(step string) error {
	switch {
	case v.unread != nil:
		return fmt.Errorf("who may answer step %s cannot be read: %w", step, v.unread)
	case v.keysOpen():
		return fmt.Errorf("nobody can answer step %s: its %s depend on what the run finds out, and a signature counts by keys that stand in the plan; write them there, and go on with `upgrader resume --accept-plan-change`",
			step, strings.Join(v.open, " and "))
	case len(v.open) > 0:
		return fmt.Errorf("who may answer step %s depends, by its %s, on what the run finds out: answer with `upgrader approve` when the run waits for it",
			step, strings.Join(v.open, " and "))
	}
	return nil
}
