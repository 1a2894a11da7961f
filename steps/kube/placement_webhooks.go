package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const admission = "/apis/admissionregistration.k8s.io/v1"

// A Webhook is an admission webhook that fails closed: what it is asked about is refused while no pod answers for its
// service.
type Webhook struct {
	Configuration      string // kind and name: "ValidatingWebhookConfiguration policy"
	Name               string
	Namespace, Service string // where the API server finds it
	Rules              string // what it is asked about, in words: "CREATE pods; CREATE, UPDATE deployments.apps"
	Conditional        bool   // it has match conditions: it may not be asked after all

	Selects   func(Pod) bool                                     // the pods that answer for it
	Pods      func(namespace string, set map[string]string) bool // whether it is asked before such a pod is created
	Evictions func(namespace string) bool                        // whether it is asked before a pod there is evicted
}

// Webhooks returns the validating and mutating webhooks that fail closed and are answered by a service of the cluster, by
// configuration and name. One whose service is gone, or has no selector, has no pods that Selects could find.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	hooks, err := c.hooks(ctx)
	if err != nil || len(hooks) == 0 {
		return nil, err
	}
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	services := map[string]labels.Selector{}
	found := make([]Webhook, 0, len(hooks))
	for _, h := range hooks {
		w := h.toWebhook(namespaces)
		service := w.Namespace + "/" + w.Service
		if services[service] == nil {
			if services[service], err = c.serviceSelector(ctx, w.Namespace, w.Service); err != nil {
				return nil, err
			}
		}
		selector := services[service]
		w.Selects = func(p Pod) bool { return p.Namespace == w.Namespace && selector.Matches(labels.Set(p.Labels)) }
		found = append(found, w)
	}
	slices.SortStableFunc(found, func(a, b Webhook) int {
		return cmp.Or(strings.Compare(a.Configuration, b.Configuration), strings.Compare(a.Name, b.Name))
	})
	return found, nil
}

// A hook is what validating and mutating webhooks have in common.
type hook struct {
	configuration, name  string
	service              *admissionv1.ServiceReference // nil: a server outside the cluster
	fails                *admissionv1.FailurePolicyType
	rules                []admissionv1.RuleWithOperations
	namespaced, labelled *metav1.LabelSelector
	conditional          bool
}

// closed says whether the webhook refuses when its service does not answer, which is the default of the API's v1.
func (h hook) closed() bool {
	return h.service != nil && (h.fails == nil || *h.fails == admissionv1.Fail)
}

func (c *Client) hooks(ctx context.Context) ([]hook, error) {
	validating, err := list(ctx, c, query{what: "the validating webhooks", path: []string{admission, "validatingwebhookconfigurations"}},
		func(l *admissionv1.ValidatingWebhookConfigurationList) (all []hook) {
			for _, item := range l.Items {
				for _, w := range item.Webhooks {
					all = append(all, hook{"ValidatingWebhookConfiguration " + item.Name, w.Name, w.ClientConfig.Service, w.FailurePolicy,
						w.Rules, w.NamespaceSelector, w.ObjectSelector, len(w.MatchConditions) > 0})
				}
			}
			return all
		})
	if err != nil {
		return nil, err
	}
	mutating, err := list(ctx, c, query{what: "the mutating webhooks", path: []string{admission, "mutatingwebhookconfigurations"}},
		func(l *admissionv1.MutatingWebhookConfigurationList) (all []hook) {
			for _, item := range l.Items {
				for _, w := range item.Webhooks {
					all = append(all, hook{"MutatingWebhookConfiguration " + item.Name, w.Name, w.ClientConfig.Service, w.FailurePolicy,
						w.Rules, w.NamespaceSelector, w.ObjectSelector, len(w.MatchConditions) > 0})
				}
			}
			return all
		})
	hooks := slices.Concat(mutating, validating)
	return slices.DeleteFunc(hooks, func(h hook) bool { return !h.closed() }), err
}

// serviceSelector selects the pods behind a service by their labels: none if the service is gone or has no selector.
func (c *Client) serviceSelector(ctx context.Context, namespace, name string) (labels.Selector, error) {
	service := &corev1.Service{}
	err := c.get(ctx, "service "+namespace+"/"+name, service, core, "namespaces", namespace, "services", name)
	if errors.Is(err, ErrNotFound) || err == nil && len(service.Spec.Selector) == 0 {
		return labels.Nothing(), nil
	}
	return labels.SelectorFromSet(service.Spec.Selector), err
}

func (h hook) toWebhook(namespaces map[string]map[string]string) Webhook {
	inNamespace, ofLabels := every(h.namespaced), every(h.labelled)
	covers := func(namespace string, set map[string]string) bool {
		return inNamespace.Matches(labels.Set(namespaces[namespace])) && ofLabels.Matches(labels.Set(set))
	}
	pods, evictions := h.asks("pods"), h.asks("pods/eviction")
	return Webhook{
		Configuration: h.configuration, Name: h.name, Conditional: h.conditional, Rules: ruleWords(h.rules),
		Namespace: h.service.Namespace, Service: h.service.Name,
		Pods:      func(namespace string, set map[string]string) bool { return pods && covers(namespace, set) },
		Evictions: func(namespace string) bool { return evictions && covers(namespace, nil) }, // an Eviction has no labels
	}
}

// every reads a selector of which none selects everything, as the API defines it for webhooks.
func every(s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return labels.Everything()
	}
	return strict(s)
}

// asks says whether a rule is about the creation of such an object of the core group. The eviction of a pod is the
// creation of pods/eviction.
func (h hook) asks(what string) bool {
	return slices.ContainsFunc(h.rules, func(r admissionv1.RuleWithOperations) bool {
		creates := slices.Contains(r.Operations, admissionv1.Create) || slices.Contains(r.Operations, admissionv1.OperationAll)
		return creates && wild(r.APIGroups, "") && wild(r.APIVersions, "v1") && covered(r.Resources, what) &&
			(r.Scope == nil || *r.Scope != admissionv1.ClusterScope)
	})
}

func wild(names []string, name string) bool {
	return slices.Contains(names, "*") || slices.Contains(names, name)
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
