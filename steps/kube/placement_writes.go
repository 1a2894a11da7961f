package kube

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// A Write is what somebody asks the API to do to an object of version v1, as admission sees it.
type Write struct {
	Operation string            // CREATE, UPDATE (a patch too) or DELETE
	Group     string            // empty: the core group
	Resource  string            // with its subresource: "pods/eviction"
	Namespace string            // empty: the object is in none
	Labels    map[string]string // of the object
}

// String is the write without its labels: "UPDATE nodes", "CREATE pods/eviction in shop", "UPDATE deployments.apps in kube-system".
func (w Write) String() string {
	words := w.Operation + " " + w.Resource
	if w.Group != "" {
		words += "." + w.Group
	}
	if w.Namespace != "" {
		words += " in " + w.Namespace
	}
	return words
}

// asks says whether a rule is about a write. The eviction of a pod is the creation of pods/eviction.
func (h hook) asks(w Write) bool {
	return slices.ContainsFunc(h.rules, func(r admissionv1.RuleWithOperations) bool {
		return wild(r.Operations, admissionv1.OperationType(w.Operation)) && wild(r.APIGroups, w.Group) && wild(r.APIVersions, "v1") &&
			covered(r.Resources, w.Resource) && inScope(r.Scope, w.Namespace)
	})
}

func wild[T ~string](names []T, name T) bool {
	return slices.Contains(names, "*") || slices.Contains(names, name)
}

func inScope(scope *admissionv1.ScopeType, namespace string) bool {
	switch {
	case scope == nil || *scope == admissionv1.AllScopes:
		return true
	case *scope == admissionv1.ClusterScope:
		return namespace == ""
	}
	return namespace != ""
}

// covered is the rule of the field resources: * is all but subresources, */* is all, pods/* are pods with their
// subresources, */eviction is that subresource of everything (apiserver: pkg/admission/plugin/webhook/predicates/rules).
func covered(patterns []string, what string) bool {
	resource, sub, _ := strings.Cut(what, "/")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		r, s, _ := strings.Cut(pattern, "/")
		return (r == "*" || r == resource) && (s == sub || s == "*")
	})
}

func ruleWords(rules []admissionv1.RuleWithOperations) string {
	words := make([]string, len(rules))
	for i, r := range rules {
		operations := make([]string, len(r.Operations))
		for j, o := range r.Operations {
			operations[j] = string(o)
		}
		words[i] = strings.Join(operations, ", ") + " " + strings.Join(r.Resources, ", ")
		if groups := strings.Join(r.APIGroups, ", "); groups != "" {
			words[i] += fmt.Sprintf(" of %s", groups)
		}
	}
	return strings.Join(words, "; ")
}
