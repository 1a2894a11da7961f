package forecast

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/kube"
)

// A body is a pod that stands on a node, or its successor after an eviction.
type body struct {
	kube.PlacedPod
	at    *spot // nil: nowhere
	moved bool
	rank  int      // in the order in which pods are placed
	name  string   // namespace/name
	owner string   // what it is one replica of, with its kind; empty: nothing that has replicas
	kin   string   // the same for pods of one namespace with the same labels: selectors cannot tell them apart
	bound []string // volumes that no other node can reach
	rules
}

// first orders pods as they were ranked.
func first(a, b *body) int { return cmp.Compare(a.rank, b.rank) }

// weightier orders pods as they are placed: the important before the others, then the large before the small.
func weightier(a, b *body) int {
	return cmp.Or(
		-cmp.Compare(a.Priority, b.Priority), -cmp.Compare(a.CPU, b.CPU), -cmp.Compare(a.Memory, b.Memory),
		strings.Compare(a.name, b.name), strings.Compare(a.UID, b.UID),
	)
}

// A spot is a node with what is left of it.
type spot struct {
	kube.Room                          // its amounts are what can be allocated in all
	cpu, memory, pods int64            // what is left
	extended          map[string]int64 // likewise
	cordoned          bool             // it was before the first drain, and stays so
	standing          []*body
}

// freedom is how free a node is, as NodeResourcesFit with LeastAllocated sees it: the mean of the shares of cores and
// memory that are left, here in parts of 10,000 of each.
func (s *spot) freedom() int64 { return share(s.cpu, s.CPU) + share(s.memory, s.Memory) }

func share(left, of int64) int64 {
	if of <= 0 {
		return 0
	}
	return int64(float64(left) / float64(of) * 10_000)
}

// freer orders nodes: the one with the most room first.
func freer(a, b *spot) int {
	return cmp.Or(-cmp.Compare(a.freedom(), b.freedom()), strings.Compare(a.Node, b.Node))
}

// A layout is who stands where.
type layout struct {
	rooms   []kube.Room // as they were
	spots   []*spot     // the freest first
	byName  map[string]*spot
	passing map[string][]*body // pods of a node that are finished or terminating: they take no room any more
	bodies  []*body            // all that ever stood, by name
	terms   map[string]*term
}

func newLayout(w World) *layout {
	l := &layout{rooms: w.Rooms, byName: map[string]*spot{}, passing: map[string][]*body{}, terms: map[string]*term{}}
	for _, r := range w.Rooms {
		s := &spot{Room: r, cpu: r.CPU, memory: r.Memory, pods: r.Pods, extended: maps.Clone(r.Extended), cordoned: r.Unschedulable}
		l.byName[r.Node] = s
		l.spots = append(l.spots, s)
	}
	for _, w := range w.Pods {
		l.admit(&body{PlacedPod: w, name: w.String(), owner: owner(w.Pod), kin: kin(w.Pod)})
	}
	slices.SortFunc(l.bodies, weightier)
	l.relate()
	for i, b := range l.bodies {
		b.rank = i
		b.bound = b.Bound(l.rooms)
		l.byName[b.Node].add(b)
		l.count(b, l.byName[b.Node], 1)
	}
	slices.SortFunc(l.spots, freer)
	return l
}

func kin(p kube.Pod) string {
	words := []string{p.Namespace}
	for _, key := range slices.Sorted(maps.Keys(p.Labels)) {
		words = append(words, key+"="+p.Labels[key])
	}
	return strings.Join(words, ",")
}

// admit takes up a pod that has a node.
func (l *layout) admit(b *body) {
	switch {
	case l.byName[b.Node] == nil:
	case b.Finished || b.Terminating:
		l.passing[b.Node] = append(l.passing[b.Node], b)
	default:
		l.bodies = append(l.bodies, b)
	}
}

func (s *spot) add(b *body) {
	s.charge(b, 1)
	s.standing = append(s.standing, b)
	b.at = s
}

func (s *spot) charge(b *body, n int64) {
	s.cpu -= n * b.CPU
	s.memory -= n * b.Memory
	s.pods -= n
	for name, amount := range b.Extended {
		if s.extended == nil {
			s.extended = map[string]int64{}
		}
		s.extended[name] -= n * amount
	}
}

// put lets a pod stand on a node.
func (l *layout) put(b *body, s *spot) {
	l.lift(s)
	s.add(b)
	b.moved = true
	l.drop(s)
	l.count(b, s, 1)
}

// take removes a pod from its node.
func (l *layout) take(b *body) {
	s := b.at
	l.lift(s)
	s.charge(b, -1)
	s.standing = slices.DeleteFunc(s.standing, func(other *body) bool { return other == b })
	l.drop(s)
	l.count(b, s, -1)
	b.at = nil
}

// lift takes a node out of the order before its room changes; drop puts it back.
func (l *layout) lift(s *spot) {
	i, _ := slices.BinarySearchFunc(l.spots, s, freer)
	l.spots = slices.Delete(l.spots, i, i+1)
}

func (l *layout) drop(s *spot) {
	i, _ := slices.BinarySearchFunc(l.spots, s, freer)
	l.spots = slices.Insert(l.spots, i, s)
}

// place puts a pod on the first of these nodes that takes it, and tells whether there is one.
func (l *layout) place(b *body, spots []*spot) bool {
	try := l.search(b)
	i := slices.IndexFunc(spots, func(s *spot) bool { return s.holds(b) && try.refused(s) == "" })
	if i < 0 {
		return false
	}
	l.put(b, spots[i])
	return true
}

// close cordons a node; open takes that back, unless it was cordoned before.
func (l *layout) close(node string) {
	if s := l.byName[node]; s != nil {
		s.Unschedulable = true
	}
}

func (l *layout) open(node string) {
	if s := l.byName[node]; s != nil {
		s.Unschedulable = s.cordoned
	}
}
