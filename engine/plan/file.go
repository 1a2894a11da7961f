package plan

import (
	"upgrader.dev/upgrader/engine/document"
)

// planFile is a document of kind Plan, as it is written.
type planFile struct {
	document.Pos
	APIVersion  document.Text                   `yaml:"apiVersion" required:"true" enum:"upgrader.dev/v1" doc:"Version of the plan language."`
	Kind        document.Text                   `yaml:"kind" required:"true" enum:"Plan" doc:"What this document is."`
	Name        document.Text                   `yaml:"name" required:"true" doc:"Name of the runbook, shown everywhere."`
	Description string                          `yaml:"description" doc:"What the runbook does, for people."`
	Versions    *versionsDecl                   `yaml:"versions" doc:"Kubernetes versions that the runbook goes between. The skew guard is derived from them and is always on."`
	Vars        document.Table[variable]        `yaml:"vars" doc:"Variables, by name; set with --var NAME=VALUE, read as vars.NAME in expressions."`
	Steps       []*step                         `yaml:"steps" required:"true" doc:"The steps, in order."`
	Waivers     []waiver                        `yaml:"waivers" doc:"Findings of preflight that are known and accepted for a while; upgrader explain checks lists them."`
	Finally     []*step                         `yaml:"finally" doc:"Steps that run at the end of every run, also of a failed one, in order."`
	Anchors     document.Table[*document.Value] `yaml:"anchors" doc:"A place for YAML anchors; otherwise ignored."`
}

// fragmentFile is a document of kind Fragment: steps for reuse, with inputs.
type fragmentFile struct {
	document.Pos
	APIVersion  document.Text            `yaml:"apiVersion" required:"true" enum:"upgrader.dev/v1" doc:"Version of the plan language."`
	Kind        document.Text            `yaml:"kind" required:"true" enum:"Fragment" doc:"What this document is."`
	Name        document.Text            `yaml:"name" doc:"Name of the fragment, for people."`
	Description string                   `yaml:"description" doc:"What the fragment does, for people."`
	Vars        document.Table[variable] `yaml:"vars" doc:"Inputs, given by the with of the step that uses the fragment, read as vars.NAME. A fragment sees no others."`
	Steps       []*step                  `yaml:"steps" required:"true" doc:"The steps, in order."`
}

type versionsDecl struct {
	document.Pos
	From document.Text `yaml:"from" required:"true" doc:"Versions that the runbook may begin at, such as \">=1.27.0 <1.28.0\"."`
	To   document.Text `yaml:"to" required:"true" doc:"Version that it ends at, such as 1.28.15; may be an expression over vars."`
}

type waiver struct {
	document.Pos
	Check  document.Text `yaml:"check" required:"true" doc:"The one check whose findings are accepted, such as host.swap. A waiver of drain.delete also lets drains delete the pods in its place past their budgets; upgrader explain node.drain says when."`
	Where  document.Text `yaml:"where" doc:"Only what is found in this place, as the report names it: a host, or an object such as PodDisruptionBudget shop/cart; everywhere when absent. It may be a pattern: * stands for any run of characters, / and blanks too, ? for one, [a-c] for one of these, and \\* for * itself, so that PodDisruptionBudget longhorn-system/* names all budgets of a namespace."`
	Reason document.Text `yaml:"reason" required:"true" doc:"Why it does not matter; it stands in every report."`
	Until  document.Text `yaml:"until" required:"true" doc:"The last day on which it holds, in UTC, such as 2026-12-31."`
}

type variable struct {
	document.Pos
	Type    document.Text   `yaml:"type" default:"string" enum:"string,int,bool,duration,intOrPercent,version,list,secret" doc:"Type of the value. A secret is a reference, env:NAME or file:PATH, resolved at use."`
	Default *document.Value `yaml:"default" doc:"Value when none is given; a variable without one must be given."`
	Doc     string          `yaml:"doc" doc:"What it is for, for people."`
	Pattern document.Text   `yaml:"pattern" doc:"Regular expression (RE2) that the whole value must match."`
	Enum    []document.Text `yaml:"enum" doc:"The values allowed."`
}

type step struct {
	document.Pos
	ID      document.Text   `yaml:"id" doc:"Name that needs and status use; the last word of the kind when absent. A group needs one."`
	Name    document.Text   `yaml:"name" doc:"Title, for people."`
	Uses    document.Text   `yaml:"uses" doc:"What the step does: a kind such as node.drain, or a fragment such as ./drain.yaml."`
	Hosts   *pattern        `yaml:"hosts" doc:"Hosts it is done on: control-plane, control-plane[0], control-plane[1:], workers, all, a group, a host, a label selector, or a list of these."`
	With    *document.Value `yaml:"with" as:"object" doc:"Settings of the kind, or inputs of the fragment."`
	When    document.Text   `yaml:"when" doc:"CEL expression; the step is skipped if it is false."`
	Needs   []document.Text `yaml:"needs" doc:"IDs of the steps that must be done before; the one before it when absent, [] starts at once."`
	Timeout *document.Value `yaml:"timeout" as:"duration" doc:"How long it may take, waiting and retries included."`
	Late    document.Text   `yaml:"onTimeout" enum:"skip,stop,ask" doc:"What it means that its time is over on a host. skip, which holds when absent: the step has failed there, a drain takes its cordon back, no later step of the rollout is done on that host, and it counts for the rollout's maxFailures, up to which the others go on; the run ends as a failed one, and a resume tries the host again. stop: as skip, but nothing new begins on any host, whatever maxFailures says. ask: nothing is given up or taken back until a person has answered wait (as much time again), skip or stop; the others go on as long as somebody is there to ask, else the run pauses, and a resume takes the answer that upgrader approve has left."`
	Retry   *retry          `yaml:"retry" doc:"What happens after a failed attempt."`
	Rollout *rollout        `yaml:"rollout" doc:"How the step goes over its hosts. A group without it takes one host at a time."`
	Steps   []*step         `yaml:"steps" doc:"Makes the step a group; on each host its steps run in order."`
}

type retry struct {
	document.Pos
	Attempts *document.Value `yaml:"attempts" as:"int" default:"3" doc:"How many attempts there are in all."`
	Backoff  *document.Value `yaml:"backoff" as:"duration" default:"2s" doc:"Pause before the second attempt; it doubles each time."`
	Max      *document.Value `yaml:"max" as:"duration" default:"30s" doc:"The longest pause."`
	On       document.Text   `yaml:"on" doc:"CEL expression over error.message, error.exitCode and error.transient; transient failures only when absent."`
}

type rollout struct {
	document.Pos
	Canary         *document.Value `yaml:"canary" as:"int" default:"0" doc:"So many hosts are done first, before the others start."`
	MaxUnavailable *document.Value `yaml:"maxUnavailable" as:"intOrPercent" default:"1" doc:"Hosts in work or out of service at any moment, by whomever. A failed host that is out of service, or was left in the middle of a change, counts until it is back. Percentages are rounded down, one at least."`
	Soak           *document.Value `yaml:"soak" as:"duration" default:"0s" doc:"A host that is done keeps its place this long before the next takes it. Nothing is looked at meanwhile: what has to stay well for a while is a last step, such as node.ready with stableFor."`
	SpreadBy       document.Text   `yaml:"spreadBy" doc:"Label whose values take turns, such as topology.kubernetes.io/zone."`
	MaxFailures    *document.Value `yaml:"maxFailures" as:"int" default:"0" doc:"Failed hosts that do not stop the run. It goes on with the others past so many, as long as maxUnavailable leaves room beside the failed ones that are still out of service."`
}
