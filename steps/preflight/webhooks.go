package preflight

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// A silence is the webhooks of one configuration that one service should answer for, and does not.
type silence struct {
	hooks          []kube.Webhook
	stops, mayStop []kube.Write // of what the upgrade writes: what is refused, and what may be
}

// silentWebhooks: somebody answers for every webhook that fails closed. Those that a drain would silence are foretold there.
func silentWebhooks(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	all := batches(v.Cluster.Webhooks, func(h kube.Webhook) (string, bool) {
		return fmt.Sprintf("%s %s/%s:%d", h.Configuration, h.Namespace, h.Service, h.Port), h.Silent(v.Cluster.Pods)
	})
	if len(all) == 0 {
		return nil
	}
	writes := v.writes()
	for _, unanswered := range all {
		s := &silence{hooks: unanswered.all}
		s.weigh(writes)
		found = append(found, s.finding(v.Cluster.Pods))
	}
	return found
}

// weigh finds out which of the writes the webhooks are asked about.
func (s *silence) weigh(writes []kube.Write) {
	for _, w := range writes {
		asked, surely := false, false
		for _, h := range s.hooks {
			if h.Asked(w) {
				asked, surely = true, surely || !h.Conditional
			}
		}
		if surely {
			s.stops = append(s.stops, w)
		} else if asked {
			s.mayStop = append(s.mayStop, w)
		}
	}
}

func (s *silence) finding(pods []kube.PlacedPod) finding.Finding {
	h := s.hooks[0]
	f := finding.Finding{Severity: finding.Warning, Where: h.Configuration, Evidence: s.evidence(pods)}
	names := make([]string, len(s.hooks))
	for i, h := range s.hooks {
		names[i] = h.Name
	}
	f.What = finding.Few(names) + ": nobody answers, and without an answer the API refuses "
	switch {
	case len(s.stops) > 0:
		f.Severity = finding.Blocker
		f.What += grouped(s.stops)
	case len(s.mayStop) > 0:
		f.What += grouped(s.mayStop) + ", unless match conditions say otherwise"
	default:
		f.What += "some writes, though none of the upgrade's"
	}
	f.Remedy = s.remedy()
	return f
}

// remedy is what to do about the service, or about the webhooks in their configuration, which may have others that are answered.
func (s *silence) remedy() string {
	h := s.hooks[0]
	service, object := h.Namespace+"/"+h.Service, strings.ToLower(strings.Replace(h.Configuration, " ", "/", 1))
	switch {
	case h.Shut:
		return fmt.Sprintf("have service %s and clientConfig.service.port name one port: `kubectl edit %s`", service, object)
	case h.Missing && len(s.hooks) < h.Siblings:
		return fmt.Sprintf("install again what service %s belonged to, or take these webhooks, and no others, out of their configuration: `kubectl edit %s`", service, object)
	case h.Missing:
		return fmt.Sprintf("install again what service %s belonged to, or take away what is left of it: `kubectl delete %s`", service, object)
	}
	return fmt.Sprintf("see why its pods are not Ready: `kubectl -n %s get pods`; until they are, let it fail open (failurePolicy: Ignore): `kubectl edit %s`",
		h.Namespace, object)
}

// evidence says what is wrong with the service, and what each webhook is asked about.
func (s *silence) evidence(pods []kube.PlacedPod) string {
	rules := make([]string, len(s.hooks))
	for i, h := range s.hooks {
		rules[i] = h.Name + " is asked about " + h.Rules
	}
	return s.state(pods) + "\n" + finding.Few(rules)
}

func (s *silence) state(pods []kube.PlacedPod) string {
	h := s.hooks[0]
	service := fmt.Sprintf("service %s/%s", h.Namespace, h.Service)
	switch {
	case h.Missing:
		return service + " does not exist"
	case h.Shut:
		return fmt.Sprintf("%s has no port %d", service, h.Port)
	}
	var behind []string
	for _, p := range pods {
		if h.Selects(p.Pod) {
			behind = append(behind, standing(p.Pod))
		}
	}
	if len(behind) == 0 {
		return service + " has no pods"
	}
	return fmt.Sprintf("%s has no Ready pod: %s", service, finding.Few(behind))
}

// standing is a pod with its node and phase.
func standing(p kube.Pod) string {
	if p.Node == "" {
		return p.String() + " (" + p.Phase + ")"
	}
	return fmt.Sprintf("%s on %s (%s)", p, p.Node, p.Phase)
}

// grouped are writes in words: the namespaces of one kind of them together.
func grouped(writes []kube.Write) string {
	var order []string
	namespaces := map[string][]string{}
	for _, w := range writes {
		namespace := w.Namespace
		w.Namespace = ""
		key := w.String()
		if _, known := namespaces[key]; !known {
			order = append(order, key)
			namespaces[key] = nil
		}
		if namespace != "" && !slices.Contains(namespaces[key], namespace) {
			namespaces[key] = append(namespaces[key], namespace)
		}
	}
	const most = 3
	for i, key := range order {
		switch all := namespaces[key]; {
		case len(all) > most:
			order[i] = fmt.Sprintf("%s in %s and %d more namespaces", key, strings.Join(all[:most], ", "), len(all)-most)
		case len(all) > 0:
			order[i] = key + " in " + strings.Join(all, ", ")
		}
	}
	return finding.Few(order)
}

// unavailableAPIs: every part of the API is answered for.
func unavailableAPIs(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, a := range v.Cluster.Unavailable {
		namespace, _, _ := strings.Cut(a.Service, "/")
		found = append(found, finding.Finding{Severity: finding.Warning, Where: "APIService " + a.Name,
			What:     "no server answers for it: namespaces cannot be deleted, and who asks for all that the API has is told of an error",
			Evidence: fmt.Sprintf("service %s, since %s: %s", a.Service, a.Since.UTC().Format(time.DateTime), a.Why),
			Remedy:   fmt.Sprintf("see why the service has no server: `kubectl -n %s get pods`; or take away what is left of it: `kubectl delete apiservice %s`", namespace, a.Name)})
	}
	return found
}
