//go:build planted

package engine

// plant is the bug that was planted; 0: none.
type plant struct{ bug int }

// Plant has the reducer make one mistake, for a test that the simulation finds it. Call it before anything else. The
// mistakes are named in engine/sim/planted_test.go.
func (r *Reducer) Plant(bug int) { r.bug = bug }

func (p plant) planted(bug int) bool { return p.bug == bug }
