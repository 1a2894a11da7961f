package engine

// An Index knows where the nodes and barriers of a graph stand, for those who ask often. The graph must not change while
// it is in use.
type Index struct {
	graph    *Graph
	nodes    map[string]int
	barriers map[string]int
	behind   [][]int // by barrier, once it was asked for
}

// Index makes an index of the graph.
func (g *Graph) Index() *Index {
	x := &Index{graph: g, nodes: make(map[string]int, len(g.Nodes)), barriers: make(map[string]int, len(g.Barriers)), behind: make([][]int, len(g.Barriers))}
	for i := range g.Nodes {
		x.nodes[g.Nodes[i].ID] = i
	}
	for i := range g.Barriers {
		x.barriers[g.Barriers[i].ID] = i
	}
	return x
}

// Node returns the position of the node of this ID.
func (x *Index) Node(id string) (int, bool) {
	i, known := x.nodes[id]
	return i, known
}

// Lookup returns the node of this ID, or nil.
func (x *Index) Lookup(id string) *Node {
	if i, known := x.nodes[id]; known {
		return &x.graph.Nodes[i]
	}
	return nil
}

// Barrier returns the position of the barrier of this ID.
func (x *Index) Barrier(id string) (int, bool) {
	i, known := x.barriers[id]
	return i, known
}

// Behind returns the positions of the nodes that these needs come to, each once, in the order in which they are named:
// what stands before a barrier stands in its place. The result is shared and must not be changed.
func (x *Index) Behind(needs []string) []int {
	if len(needs) == 1 {
		if b, known := x.barriers[needs[0]]; known {
			return x.before(b)
		}
	}
	var found []int
	seen := map[int]bool{}
	for _, need := range needs {
		list := x.behindOne(need)
		for _, i := range list {
			if !seen[i] {
				seen[i] = true
				found = append(found, i)
			}
		}
	}
	return found
}

// Names is Behind as IDs.
func (x *Index) Names(needs []string) []string {
	var ids []string
	for _, i := range x.Behind(needs) {
		ids = append(ids, x.graph.Nodes[i].ID)
	}
	return ids
}

func (x *Index) behindOne(need string) []int {
	if b, known := x.barriers[need]; known {
		return x.before(b)
	}
	if i, known := x.nodes[need]; known {
		return []int{i}
	}
	return nil
}

// before is what stands before a barrier.
func (x *Index) before(b int) []int {
	if x.behind[b] == nil {
		x.behind[b] = []int{} // a barrier that stood before itself would be empty, not endless
		x.behind[b] = x.Behind(x.graph.Barriers[b].Needs)
	}
	return x.behind[b]
}
