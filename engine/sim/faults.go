package sim

// faults are what may go wrong in a trial. Each seed switches some of them on: faults that always come together hide each
// other.
type faults struct {
	deaths, cordons, uncordons, slow, fails, cuts   bool // hosts and their jobs
	blind, breaks, doubts, lost, away, budgets      bool // answers
	kept                                            bool // pods that their budgets keep for long
	kills, stops, edits, clocks, rivals, full, torn bool // processes and who runs them
	silent, lies, shut, rejects, hurries, slowDisk  bool // persons, gates, disks
}

// drawFaults switches each fault on or off; in some trials there is none at all.
func (d dice) drawFaults() *faults {
	f := &faults{}
	if d.chance(8) {
		return f
	}
	often := d.between(10, 60)
	for _, on := range f.all() {
		*on = d.chance(often)
	}
	return f
}

func (f *faults) all() []*bool {
	return []*bool{&f.deaths, &f.cordons, &f.uncordons, &f.slow, &f.fails, &f.cuts,
		&f.blind, &f.breaks, &f.doubts, &f.lost, &f.away, &f.budgets, &f.kept,
		&f.kills, &f.stops, &f.edits, &f.clocks, &f.rivals, &f.full, &f.torn,
		&f.silent, &f.lies, &f.shut, &f.rejects, &f.hurries, &f.slowDisk}
}
