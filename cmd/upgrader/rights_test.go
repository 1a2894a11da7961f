package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/preflight"
)

// TestRBACExample proves that examples/rbac.yaml grants what the shipped plans need, and nothing beside.
func TestRBACExample(t *testing.T) {
	const example = "../../examples/rbac.yaml"
	got := rbac(shippedRights(t))
	if *update {
		if err := os.WriteFile(example, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(string(want), got); d != "" {
		t.Errorf("%s is old (make generate writes it anew):\n%s", example, d)
	}
}

// shippedRights are the rights that the shipped plans need, each once.
func shippedRights(t *testing.T) []kube.Right {
	t.Helper()
	catalog, err := offline()
	if err != nil {
		t.Fatal(err)
	}
	base, err := knowledge.Load()
	if err != nil {
		t.Fatal(err)
	}
	var all []kube.Right
	for _, name := range builtins() {
		p, err := loadPlan("plans/"+name, catalog)
		if err != nil {
			t.Fatal(err)
		}
		targets := []engine.Target{{Name: "cp1", Groups: []string{"control-plane"}}, {Name: "w1", Groups: []string{"workers"}}}
		graph, err := p.Expand(plan.Options{Catalog: catalog, Targets: targets})
		if err != nil {
			t.Fatal(err)
		}
		goal, err := goalOf(graph)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range preflight.Rights(goal, base) {
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	return all
}

// A rule is one of a role, and what it is for.
type rule struct {
	need                    kube.Need
	namespace, group        string
	resources, names, paths []string
	verbs                   []string
}

// rules are as few as say the same as the rights.
func rules(rights []kube.Right) []rule {
	needs := []kube.Need{kube.ToLook, kube.ToLock, kube.ToCordon, kube.ToDrain, kube.ToDelete}
	slices.SortStableFunc(rights, func(a, b kube.Right) int {
		return cmp.Compare(slices.Index(needs, a.Need), slices.Index(needs, b.Need))
	})
	var all []rule
	for _, r := range rights {
		if r.Path != "" {
			all = append(all, rule{need: r.Need, paths: []string{r.Path}, verbs: []string{r.Verb}})
			continue
		}
		one := rule{need: r.Need, namespace: r.Namespace, group: r.Group, resources: []string{r.Resource}, verbs: []string{r.Verb}}
		if r.Name != "" {
			one.names = []string{r.Name}
		}
		all = append(all, one)
	}
	all = merge(all, func(r *rule) *[]string { return &r.verbs })
	all = merge(all, func(r *rule) *[]string { return &r.paths })
	all = merge(all, func(r *rule) *[]string { return &r.names })
	return merge(all, func(r *rule) *[]string { return &r.resources })
}

// merge makes one rule of those that differ in this field alone. No names are all names, and stay by themselves.
func merge(all []rule, field func(*rule) *[]string) []rule {
	var merged []rule
	for _, r := range all {
		i := slices.IndexFunc(merged, func(m rule) bool {
			return len(*field(&r)) > 0 && len(*field(&m)) > 0 && without(r, field) == without(m, field)
		})
		if i < 0 {
			merged = append(merged, r)
			continue
		}
		to := field(&merged[i])
		*to = append(*to, *field(&r)...)
		slices.Sort(*to)
	}
	return merged
}

func without(r rule, field func(*rule) *[]string) string {
	*field(&r) = nil
	return fmt.Sprintf("%q", []any{r.need, r.namespace, r.group, r.resources, r.names, r.paths, r.verbs})
}

const rbacHead = `# What upgrader may do on a cluster: the least that the shipped plans need, for preflight, dry run, run, resume, doctor and
# unlock. Written by ` + "`make generate`" + ` from the table in steps/kube/rights.go and the plans; the lab runs them under exactly this.
#
#     kubectl apply -f examples/rbac.yaml
#     kubectl -n kube-system create token upgrader --duration=8h     # goes into the user of a kubeconfig
#
# Who has it can empty and cordon every node, and sees every pod, but reads no Secret and changes no workload. A plan of
# your own that goes through other versions may read more, and one whose waivers have drains delete pods past their budgets
# (drain.delete) needs to delete pods; upgrader says what it lacks before it begins.
apiVersion: v1
kind: ServiceAccount
metadata: {name: upgrader, namespace: kube-system}
`

// rbac writes rights as the objects that grant them to a service account.
func rbac(rights []kube.Right) string {
	var b strings.Builder
	b.WriteString(rbacHead)
	all := rules(rights)
	var namespaces []string
	for _, r := range all {
		if !slices.Contains(namespaces, r.namespace) {
			namespaces = append(namespaces, r.namespace)
		}
	}
	for _, namespace := range namespaces {
		b.WriteString(role(namespace, all))
	}
	return b.String()
}

// role writes the rules of one namespace, or those of the whole cluster.
func role(namespace string, all []rule) string {
	cluster, where := "Cluster", ""
	if namespace != "" {
		cluster, where = "", ", namespace: "+namespace
	}
	const api = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %s%s\nmetadata: {name: upgrader%s}\n"
	var b strings.Builder
	fmt.Fprintf(&b, api+"rules:\n", cluster, "Role", where)
	var need kube.Need
	for _, r := range all {
		if r.namespace != namespace {
			continue
		}
		if r.need != need {
			need = r.need
			fmt.Fprintf(&b, "  # to %s\n", need)
		}
		fmt.Fprintf(&b, "  - {%s}\n", r.words())
	}
	fmt.Fprintf(&b, api+"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %sRole, name: upgrader}\n", cluster, "RoleBinding", where, cluster)
	b.WriteString("subjects: [{kind: ServiceAccount, name: upgrader, namespace: kube-system}]\n")
	return b.String()
}

func (r rule) words() string {
	verbs := "verbs: [" + strings.Join(r.verbs, ", ") + "]"
	if len(r.paths) > 0 {
		return "nonResourceURLs: [" + strings.Join(r.paths, ", ") + "], " + verbs
	}
	group := r.group
	if group == "" {
		group = `""`
	}
	words := "apiGroups: [" + group + "], resources: [" + strings.Join(r.resources, ", ") + "]"
	if len(r.names) > 0 {
		words += ", resourceNames: [" + strings.Join(r.names, ", ") + "]"
	}
	return words + ", " + verbs
}
