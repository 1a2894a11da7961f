package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/private"
	"upgrader.dev/upgrader/steps/approval"
	"upgrader.dev/upgrader/steps/redact"
)

// approveOptions are the flags of approve.
type approveOptions struct {
	no          bool
	late        map[string]*bool // the answers about a step that ran out of time, by their words
	as, why     string
	key         string // signs the decision
	signature   string // the file of one that was made elsewhere
	printNotRun bool   // prints what has to be signed
}

func approveCommand(c *console, g *global) *cobra.Command {
	o := &approveOptions{late: map[string]*bool{}}
	cmd := &cobra.Command{
		Use:   "approve RUN STEP",
		Short: "Answer an approval that a run waits for",
		Long: `Approves, or rejects, a step that waits for a person. A run at work goes on by itself; a paused one by ` + "`upgrader resume`." + `
The record holds the name that is given with --as, and the operating system's user who gave it.

A step that ran out of time, and of which the plan says ` + "`onTimeout: ask`" + `, is answered with --wait, --skip or --stop.

Where the step has allowedSigners, the answer has to be signed with an SSH key that stands there for the name. It is signed here
with --sign, or elsewhere: --print prints the text to be signed, --signature takes what ssh-keygen made of it.`,
		Example: `  upgrader approve 1120-2241-k3f approve-workers --as ann --sign ~/.ssh/id_ed25519 --reason CHG-4711
  upgrader approve 1120-2241-k3f approve-workers --as ann --print >decision
  ssh-keygen -Y sign -n upgrader.dev -f ~/.ssh/id_ed25519 decision
  upgrader approve 1120-2241-k3f approve-workers --as ann --signature decision.sig`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeRuns(c, g),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := findRun(c, g, args[0])
			if err != nil {
				return err
			}
			return o.decide(cmd.Context(), c, run, args[1])
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.no, "reject", false, "reject it: the step fails and the run stops")
	f.StringVar(&o.as, "as", "", "in whose name (default: the user)")
	f.StringVar(&o.why, "reason", "", "why, for the record")
	f.StringVar(&o.key, "sign", "", "sign the answer with this SSH key; a public one is looked for in the agent")
	f.StringVar(&o.signature, "signature", "", "file of a signature that was made elsewhere of what --print printed, with the same --as, --reason and --reject")
	f.BoolVar(&o.printNotRun, "print", false, "print the text that has to be signed, and answer nothing")
	o.late[engine.WaitOn] = f.Bool(engine.WaitOn, false, "a step that ran out of time: give it as much time again")
	o.late[engine.SkipHost] = f.Bool(engine.SkipHost, false, "a step that ran out of time: leave its host out, and go on as far as maxFailures says")
	o.late[engine.StopRun] = f.Bool(engine.StopRun, false, "a step that ran out of time: leave its host out, and begin nothing new")
	cmd.MarkFlagsMutuallyExclusive("sign", "signature", "print")
	cmd.MarkFlagsMutuallyExclusive("reject", engine.WaitOn, engine.SkipHost, engine.StopRun)
	return cmd
}

// decide leaves a decision for the run to find.
func (o *approveOptions) decide(ctx context.Context, c *console, run listing, step string) error {
	seal, err := trusts(c, run) // or the question may be another than the run asks
	if err != nil {
		return err
	}
	g, summary, err := run.dir.summary()
	if err != nil {
		return err
	}
	n, err := o.question(g, summary, step)
	if err != nil {
		return err
	}
	known := engine.Facts{engine.FactRunID: run.ID}
	maps.Copy(known, summary.Facts)
	v := votersOf(n, known)
	f, err := o.answer(c, n, v)
	if err != nil {
		return err
	}
	if o.printNotRun {
		_, err := c.out.Write(f.text(run.ID, g.Digest))
		return err
	}
	signed, err := o.sign(ctx, &f, v, f.text(run.ID, g.Digest))
	if err != nil {
		return err
	}
	if err := leave(run, seal, f); err != nil {
		return err
	}
	next := "the run takes it from here"
	if !journal.InUse(string(run.dir)) {
		next = "go on with: upgrader resume " + run.ID
	}
	c.say("%s: %s by %s%s; %s", n.ID, cmp.Or(map[string]string{engine.Approve: "approved", engine.Reject: "rejected"}[f.Verdict], f.Verdict), f.Who, signed, next)
	if n.Kind == approval.Kind && wasEdited(run, g, n) {
		c.say("the question was edited in %s since: this answers it as the run has it%s; who goes on with the edited plan is asked anew", run.PlanPath, v.question())
	}
	return nil
}

// question is the step that is answered, if it asks and has no answer yet.
func (o *approveOptions) question(g *engine.Graph, summary engine.Summary, step string) (*engine.Node, error) {
	n, err := findNode(g, step)
	if err != nil {
		return nil, err
	}
	if n.Kind != approval.Kind && n.OnTimeout != engine.AskPerson {
		return nil, invalid("step %s is of kind %s and asks nobody", n.ID, n.Kind)
	}
	for _, status := range summary.Nodes {
		if status.ID == n.ID && n.Kind != approval.Kind && !engine.AsksLate(status.Message) {
			return nil, invalid("step %s is %s and asks nobody: only when its time is over", n.ID, status.State)
		}
		if status.ID == n.ID && (status.State == engine.Done || status.State == engine.Skipped) {
			return nil, invalid("step %s is %s already", n.ID, status.State)
		}
	}
	return n, nil
}

// answer is what the person says, if they may.
func (o *approveOptions) answer(c *console, n *engine.Node, v voters) (decisionFile, error) {
	me := theOperator(c.env)
	f := decisionFile{Node: n.ID, Verdict: engine.Approve, Who: me.name, By: me.account, Why: o.why, At: time.Now(), Digest: n.Digest}
	if o.as != "" {
		f.Who = o.as
	}
	if o.no {
		f.Verdict = engine.Reject
	}
	for _, word := range []string{engine.WaitOn, engine.SkipHost, engine.StopRun} {
		if given := o.late[word]; given != nil && *given {
			f.Verdict = word
		}
	}
	if !f.answers(n) {
		return f, invalid("%s", wrongWord(n))
	}
	words := f.Who + "\n" + f.Why
	if strings.ContainsAny(f.Who+f.Why, "\n\t") || printable.Text(words) != words {
		return f, invalid("--as and --reason are kept in the record as one line: give them without control characters")
	}
	if redact.Likely(words) != words { // nor would --print show what has to be signed
		return f, invalid("--as and --reason are kept in the record, and one of them looks like a password, a token or a key: give it without")
	}
	if err := v.notKnown(n.ID); err != nil {
		return f, invalid("%w", err)
	}
	if !v.named(f.Who) {
		return f, invalid("step %s can be answered by %s only, not by %s: name one with --as", n.ID, strings.Join(v.Approvers, ", "), f.Who)
	}
	return f, nil
}

// wrongWord says with which words a step can be answered.
func wrongWord(n *engine.Node) string {
	if n.Kind == approval.Kind {
		return fmt.Sprintf("step %s asks for an approval: --wait, --skip and --stop are for steps that ran out of time", n.ID)
	}
	return fmt.Sprintf("step %s ran out of time: say how to go on with --wait (as much time again), --skip (leave its host out) or --stop (begin nothing new)", n.ID)
}

// sign signs the answer, or takes the signature that was made elsewhere, and makes sure that it will count.
func (o *approveOptions) sign(ctx context.Context, f *decisionFile, v voters, text []byte) (words string, err error) {
	switch {
	case !v.signed() && o.key == "" && o.signature == "":
		return "", nil
	case !v.signed():
		return "", invalid("step %s has no allowedSigners, so nobody would look at a signature: leave it out", f.Node)
	case o.key != "":
		f.Signature, err = sign(ctx, o.key, text)
	case o.signature != "":
		var data []byte
		data, err = os.ReadFile(o.signature)
		f.Signature = string(data)
	default:
		err = fmt.Errorf("step %s is answered with a signature only: give --sign KEY, with a key that its allowedSigners have for %s, or --print it and sign it elsewhere", f.Node, f.Who)
	}
	if err != nil {
		return "", asInvalid(err)
	}
	key, err := v.signedBy(*f, text)
	if err != nil {
		return "", invalid("step %s: %w", f.Node, err)
	}
	return ", signed with " + key, nil
}

// notSigned says why a signature does not count, and what to do.
func notSigned(f decisionFile, err error) error {
	return fmt.Errorf("the signature is not one of %s over this run, plan, step, decision and reason, by a key that the step's allowedSigners have: %w; sign it anew with `upgrader approve --as %s --sign KEY`",
		f.Who, err, f.Who)
}

// leave puts the decision where the run looks for it, sealed with the key that the run is sealed with.
func leave(run listing, seal []byte, f decisionFile) error {
	f, err := f.sealed(seal)
	if err != nil {
		return err
	}
	err = private.MkdirAll(run.dir.path("decisions"))
	if err == nil {
		err = writeJSON(run.dir.decisionPath(f.Node), f)
	}
	if err != nil {
		return fmt.Errorf("leaving the decision: %w", err)
	}
	return nil
}

// wasEdited says whether a run's plan file asks another question by now than the run does. A plan that cannot be read asks none.
func wasEdited(run listing, pinned *engine.Graph, n *engine.Node) bool {
	edited, err := reread(run, pinned)
	if err != nil || edited.graph == nil {
		return false
	}
	now := edited.graph.Lookup(n.ID)
	return now == nil || now.Digest != n.Digest
}

// errNoSeal says that a file in decisions/ is none that `upgrader approve` left.
var errNoSeal = errors.New("was not left there by `upgrader approve`, or was edited since")
