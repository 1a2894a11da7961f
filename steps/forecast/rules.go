package forecast

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"upgrader.dev/upgrader/steps/kube"
)

// A term is one rule about neighbours, which many pods may share, with the pods counted that it is about.
type term struct {
	kube.Peers
	among   map[string][]*spot // places that a spread counts, with their nodes; nil where no spread has the term
	peers   map[string]int     // pods that the rule selects, by place
	holders map[string]int     // pods that have it as their anti-affinity, by place
	total   int                // of the peers
}

// rules are the terms that concern a pod.
type rules struct {
	apart, together, spread []*term // its own, in the order of the pod's
	matched                 []*term // of any pod: those that select it
}

// relate finds out which terms there are and which pods they select.
func (l *layout) relate() {
	for _, b := range l.bodies {
		b.apart, b.together = l.share(b.Apart), l.share(b.Together)
		for _, s := range b.Spread {
			t := l.term(s.Peers)
			if t.among == nil {
				t.among = l.places(s)
			}
			b.spread = append(b.spread, t)
		}
	}
	known := map[string][]*term{}
	keys := slices.Sorted(maps.Keys(l.terms))
	for _, b := range l.bodies {
		if _, ok := known[b.kin]; !ok {
			known[b.kin] = l.selecting(b, keys)
		}
		b.matched = known[b.kin]
	}
}

// selecting are the terms that select a pod, in the order of their keys.
func (l *layout) selecting(b *body, keys []string) (terms []*term) {
	for _, key := range keys {
		if l.terms[key].Selects(b.Pod) {
			terms = append(terms, l.terms[key])
		}
	}
	return terms
}

func (l *layout) share(all []kube.Peers) (terms []*term) {
	for _, p := range all {
		terms = append(terms, l.term(p))
	}
	return terms
}

func (l *layout) term(p kube.Peers) *term {
	if l.terms[p.Key] == nil {
		l.terms[p.Key] = &term{Peers: p, peers: map[string]int{}, holders: map[string]int{}}
	}
	return l.terms[p.Key]
}

// places are those that a spread counts: labels alone decide, so that they stay the same all the time.
func (l *layout) places(s kube.Spread) map[string][]*spot {
	places := map[string][]*spot{}
	for _, r := range l.rooms {
		if value, ok := r.Labels[s.Topology]; ok && s.Counts(r) {
			places[value] = append(places[value], l.byName[r.Node])
		}
	}
	return places
}

// count adds a pod to the terms that concern it, or with n -1 takes it away.
func (l *layout) count(b *body, s *spot, n int) {
	for _, t := range b.matched {
		t.total += n
		if value, ok := s.Labels[t.Topology]; ok {
			t.peers[value] += n
		}
	}
	for _, t := range b.apart {
		if value, ok := s.Labels[t.Topology]; ok {
			t.holders[value] += n
		}
	}
}

// A search is for a node that takes one pod.
type search struct {
	*body
	emptiest []int // for each spread: the fewest peers of a place; nil: not counted yet
	alone    bool  // nobody is there yet whom it must stand with, and it is such a one itself: it may be the first
}

func (l *layout) search(b *body) *search {
	return &search{body: b, alone: !slices.ContainsFunc(b.together, func(t *term) bool { return t.total > 0 || !t.Selects(b.Pod) })}
}

// fewest counts the fewest peers of a place for each spread, when they are first asked for.
func (s *search) fewest() []int {
	if s.emptiest == nil {
		for i, t := range s.spread {
			s.emptiest = append(s.emptiest, t.fewest(s.body, s.Spread[i]))
		}
	}
	return s.emptiest
}

// fewest is the global minimum of PodTopologySpread (pkg/scheduler/framework/plugins/podtopologyspread).
func (t *term) fewest(b *body, rule kube.Spread) int {
	places, fewest := 0, math.MaxInt
	for value, spots := range t.among {
		if rule.SkipTaints && !slices.ContainsFunc(spots, func(s *spot) bool { return b.Refuses == nil || b.Refuses(s.Room) == "" }) {
			continue
		}
		places++
		fewest = min(fewest, t.peers[value])
	}
	if places < int(rule.MinPlaces) || places == 0 {
		return 0
	}
	return fewest
}

// refused says why a node does not take the pod, apart from what it requests, or "" if it does.
func (s *search) refused(at *spot) string {
	if why := s.Refused(at.Room); why != "" {
		return why
	}
	if why := s.ports(at); why != "" {
		return why
	}
	if why := s.crowded(at); why != "" {
		return why
	}
	return s.uneven(at)
}

func (s *search) ports(at *spot) string {
	for _, port := range s.Ports {
		clashes := func(other *body) bool { return slices.ContainsFunc(other.Ports, port.Clashes) }
		if slices.ContainsFunc(at.standing, clashes) {
			return fmt.Sprintf("has port %d/%s taken", port.Port, port.Protocol)
		}
	}
	return ""
}

// crowded asks for required affinity and anti-affinity between pods, that of those who stand there included
// (pkg/scheduler/framework/plugins/interpodaffinity/filtering.go).
func (s *search) crowded(at *spot) string {
	for _, t := range s.apart {
		if value, ok := at.Labels[t.Topology]; ok && t.peers[value] > 0 {
			return "has a pod that it must stand apart from, by " + t.Topology
		}
	}
	for _, t := range s.matched {
		if value, ok := at.Labels[t.Topology]; ok && t.holders[value] > 0 {
			return "has a pod that must stand apart from it, by " + t.Topology
		}
	}
	for _, t := range s.together {
		value, ok := at.Labels[t.Topology]
		if !ok || t.peers[value] == 0 && !s.alone {
			return "has none of the pods that it must stand with, by " + t.Topology
		}
	}
	return ""
}

// uneven asks for the topology spread constraints.
func (s *search) uneven(at *spot) string {
	for i, t := range s.spread {
		value, ok := at.Labels[t.Topology]
		if !ok {
			return "has not the label " + t.Topology + " of its topology spread"
		}
		there := t.peers[value] - s.fewest()[i]
		if t.Selects(s.Pod) {
			there++
		}
		if int64(there) > s.Spread[i].MaxSkew {
			return fmt.Sprintf("would make its topology spread by %s uneven (maxSkew %d)", t.Topology, s.Spread[i].MaxSkew)
		}
	}
	return ""
}
