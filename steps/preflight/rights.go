package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

// Inspect is Look, after the API was asked whether the user of the kubeconfig may do all that the goal needs. Who may not
// even look is refused with everything that is missing at once, instead of with one denial after another.
func Inspect(ctx context.Context, e survey.Eyes, goal Goal) (*View, error) {
	missing, err := lacks(ctx, e, goal)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(missing, func(r kube.Right) bool { return r.Need == kube.ToLook }) {
		return nil, engine.Refuse("the user of the kubeconfig may not "+strings.Join(rightWords(missing), ", "), rightsRemedy)
	}
	v, err := Look(ctx, e, goal)
	if err == nil {
		v.Lacks, v.Credentials = missing, e.Cluster.Credentials()
	}
	return v, err
}

// lacks are the rights that the goal needs and the user lacks. An API server that does not tell is believed to allow
// everything: what it denies shows then.
func lacks(ctx context.Context, e survey.Eyes, goal Goal) ([]kube.Right, error) {
	base, err := knowledge.Load()
	if err != nil {
		return nil, fmt.Errorf("reading what is known of Kubernetes: %w", err)
	}
	missing, err := e.Cluster.Missing(ctx, Rights(goal, base))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil || len(missing) == 0 {
		return nil, nil //nolint:nilerr // see above
	}
	served, err := e.Cluster.Groups(ctx)
	return slices.DeleteFunc(missing, func(r kube.Right) bool {
		return err == nil && r.Group != "" && len(served[r.Group]) == 0 // nothing of it is ever asked
	}), nil
}

// Rights are what a goal needs of the API.
func Rights(goal Goal, base *knowledge.Base) []kube.Right {
	all := slices.DeleteFunc(kube.Rights(), func(r kube.Right) bool {
		return r.Need == kube.ToCordon && !goal.Cordons || r.Need == kube.ToDrain && len(goal.Drains) == 0 || r.Need == kube.ToDelete && !goal.deletes()
	})
	v := View{Goal: goal, Knowledge: base}
	for _, r := range v.questions().Resources {
		right := kube.Right{Need: kube.ToLook, Verb: "list", Group: r.Group, Resource: r.Plural}
		if !slices.Contains(all, right) {
			all = append(all, right)
		}
	}
	return all
}

// rights: the user of the kubeconfig may do what the plan does.
func rights(v *View) []finding.Finding {
	if len(v.Lacks) == 0 {
		return nil
	}
	var needs []string
	for _, r := range v.Lacks {
		if !slices.Contains(needs, string(r.Need)) {
			needs = append(needs, string(r.Need))
		}
	}
	return []finding.Finding{{Severity: finding.Blocker, Where: engine.Cluster,
		What:     "the user of the kubeconfig lacks rights that the plan needs to " + strings.Join(needs, ", to "),
		Evidence: "the API denies:\n" + strings.Join(rightWords(v.Lacks), "\n"),
		Remedy:   rightsRemedy}}
}

const rightsRemedy = "let an administrator grant them: examples/rbac.yaml has all that the shipped plans need; `kubectl auth can-i --list` shows what there is"

func rightWords(all []kube.Right) []string {
	words := make([]string, len(all))
	for i, r := range all {
		words[i] = r.String()
	}
	return words
}
