package kube

import (
	"cmp"
	"context"
	"errors"
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
	Port               int32  // of that service
	Siblings           int    // how many webhooks its configuration has, itself and whatever does not fail closed included
	Rules              string // what it is asked about, in words: "CREATE pods; CREATE, UPDATE deployments.apps"
	Conditional        bool   // it has match conditions: it may not be asked after all
	Missing            bool   // the cluster has no such service
	Shut               bool   // its service has not this port
	Elsewhere          bool   // its service has endpoints made by hand, or another name: who answers is not known
	Unready            bool   // its service publishes pods that are not Ready too

	Selects   func(Pod) bool                                     // the pods behind its service
	Asked     func(Write) bool                                   // whether it is asked before that
	Pods      func(namespace string, set map[string]string) bool // whether it is asked before such a pod is created
	Evictions func(namespace string) bool                        // whether it is asked before a pod there is evicted
}

// AnsweredBy says whether a pod answers for the webhook now.
func (w Webhook) AnsweredBy(p Pod) bool {
	return !w.Shut && w.Selects(p) && (p.Ready && !p.Terminating || w.Unready && p.Phase == string(corev1.PodRunning))
}

// Silent says whether nobody answers for the webhook, among all pods of the cluster: what it is asked about is refused.
func (w Webhook) Silent(pods []PlacedPod) bool {
	return w.Shut || !w.Elsewhere && !slices.ContainsFunc(pods, func(p PlacedPod) bool { return w.AnsweredBy(p.Pod) })
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
	services := map[string]*corev1.Service{}
	found := make([]Webhook, 0, len(hooks))
	for _, h := range hooks {
		w := h.toWebhook(namespaces)
		service := w.Namespace + "/" + w.Service
		if services[service] == nil {
			if services[service], err = c.service(ctx, w.Namespace, w.Service); err != nil {
				return nil, err
			}
		}
		found = append(found, w.behind(services[service]))
	}
	slices.SortStableFunc(found, func(a, b Webhook) int {
		return cmp.Or(strings.Compare(a.Configuration, b.Configuration), strings.Compare(a.Name, b.Name))
	})
	return found, nil
}

// A hook is what validating and mutating webhooks have in common.
type hook struct {
	configuration, name  string
	siblings             int
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

// port is that of the service, or the default of the API's v1.
func (h hook) port() int32 {
	const https = 443
	if h.service.Port == nil {
		return https
	}
	return *h.service.Port
}

func (c *Client) hooks(ctx context.Context) ([]hook, error) {
	validating, err := list(ctx, c, query{what: "the validating webhooks", path: []string{admission, "validatingwebhookconfigurations"}},
		func(l *admissionv1.ValidatingWebhookConfigurationList) (all []hook) {
			for _, item := range l.Items {
				for _, w := range item.Webhooks {
					all = append(all, hook{"ValidatingWebhookConfiguration " + item.Name, w.Name, len(item.Webhooks), w.ClientConfig.Service, w.FailurePolicy,
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
					all = append(all, hook{"MutatingWebhookConfiguration " + item.Name, w.Name, len(item.Webhooks), w.ClientConfig.Service, w.FailurePolicy,
						w.Rules, w.NamespaceSelector, w.ObjectSelector, len(w.MatchConditions) > 0})
				}
			}
			return all
		})
	hooks := slices.Concat(mutating, validating)
	return slices.DeleteFunc(hooks, func(h hook) bool { return !h.closed() }), err
}

// service reads a service; one that is gone has no name.
func (c *Client) service(ctx context.Context, namespace, name string) (*corev1.Service, error) {
	service := &corev1.Service{}
	err := c.get(ctx, "service "+namespace+"/"+name, service, core, "namespaces", namespace, "services", name)
	if errors.Is(err, ErrNotFound) {
		return &corev1.Service{}, nil
	}
	return service, err
}

// behind is the webhook with what its service says of who answers. The selector of an ExternalName is not looked at by
// anybody, and neither are its ports. To any other service the API server goes by the port that the webhook names
// (k8s.io/apiserver: pkg/util/proxy, findServicePort).
func (w Webhook) behind(s *corev1.Service) Webhook {
	selector := labels.Nothing()
	w.Missing, w.Unready = s.Name == "", s.Spec.PublishNotReadyAddresses
	named := s.Spec.Type == corev1.ServiceTypeExternalName
	w.Elsewhere = !w.Missing && (len(s.Spec.Selector) == 0 || named)
	w.Shut = !named && len(s.Spec.Ports) > 0 && !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == w.Port })
	if !w.Missing && !w.Elsewhere {
		selector = labels.SelectorFromSet(s.Spec.Selector)
	}
	w.Selects = func(p Pod) bool { return p.Namespace == w.Namespace && selector.Matches(labels.Set(p.Labels)) }
	return w
}

func (h hook) toWebhook(namespaces map[string]map[string]string) Webhook {
	inNamespace, ofLabels := every(h.namespaced), every(h.labelled)
	asked := func(w Write) bool {
		// What is in no namespace is never exempt (apiserver: pkg/admission/plugin/webhook/predicates/namespace).
		return h.asks(w) && ofLabels.Matches(labels.Set(w.Labels)) && (w.Namespace == "" || inNamespace.Matches(labels.Set(namespaces[w.Namespace])))
	}
	return Webhook{
		Configuration: h.configuration, Name: h.name, Siblings: h.siblings, Conditional: h.conditional, Rules: ruleWords(h.rules),
		Namespace: h.service.Namespace, Service: h.service.Name, Port: h.port(), Asked: asked,
		Pods: func(namespace string, set map[string]string) bool {
			return asked(Write{Operation: "CREATE", Resource: "pods", Namespace: namespace, Labels: set})
		},
		Evictions: func(namespace string) bool {
			return asked(Write{Operation: "CREATE", Resource: "pods/eviction", Namespace: namespace}) // an Eviction has no labels
		},
	}
}

// every reads a selector of which none selects everything, as the API defines it for webhooks.
func every(s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return labels.Everything()
	}
	return strict(s)
}
