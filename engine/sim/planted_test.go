//go:build planted

package sim

import (
	"flag"
	"testing"
)

var only = flag.Int("bug", 0, "the one bug to plant; 0: all")

// A planted is a mistake that the reducer makes on demand: `if r.planted(number)` in engine.
type planted struct {
	number int
	words  string
}

// bugs are all that can be planted.
func bugs() []planted {
	return []planted{
		{1, "counts the wall clock instead of elapsed time"},
		{2, "forgets at a resume which hosts are in the middle"},
		{3, "lets two rollouts work on one host"},
		{4, "grants a host whoever else is out of service"},
		{5, "asks only its own rollout for room, not the others that share the host"},
		{6, "lets hosts begin before the canaries are through"},
		{7, "believes a look for ever"},
		{8, "goes on with a host after a resume before it has looked"},
		{9, "repeats a once-effect that was cut off without asking"},
		{10, "forgets an open effect whose step was renamed"},
		{11, "goes on after a once-effect was cut off, as if it had been refused"},
		{12, "makes an effect without journaling its intent"},
		{13, "gives a ticket twice"},
		{14, "goes on after a stop"},
		{15, "goes on after a failure"},
		{16, "goes on after another upgrader has taken over"},
		{17, "does not ask for the lock"},
		{18, "believes a proof of the lock for ever"},
		{19, "does not look at gates again"},
		{20, "changes things while gates are looked at again"},
		{21, "starts a unit before the rollout that it needs"},
		{22, "does not watch a host that is done"},
		{23, "forgets at a resume that a host is watched"},
		{24, "tolerates one failure too many"},
		{25, "gives a node twice its timeout"},
		{26, "gives a node half its timeout"},
		{27, "tries again without end"},
		{28, "does not wait before it tries again"},
		{29, "takes an approval of an earlier text"},
		{30, "skips what is done finally when the run has failed"},
		{31, "stops what is done finally at its first failure"},
		{32, "does not hear what a person has decided about an effect"},
		{33, "takes waiting for done"},
		{34, "takes an effect that was cut off for made"},
		{35, "takes an effect that never began for made"},
		{36, "forgets an earlier wake-up"},
		{37, "tells a step the time of its latest start as that of its first"},
		{38, "does not tell gates which hosts are in work"},
		{39, "does not ask about hosts that the plan has lost in the middle"},
		{40, "does not count hosts that others have out of service"},
		{41, "tells what is done finally that all went well"},
		{42, "makes changes in a rehearsal"},
		{43, "rehearses only the first changes of a step"},
		{44, "begins effects while another step has the API away"},
		{45, "does not take a failed step back"},
		{46, "frees failed hosts that are out of service"},
		{47, "goes on with the others after a step ran out of time that has the run stop"},
		{48, "goes on with a host after it was left out"},
		{49, "gives a step up that ran out of time without asking a person"},
	}
}

// enough is how many seeds a bug may take.
const enough = 10_000

// TestPlanted proves that the simulation finds every bug that can be planted, and prints how fast and by what.
func TestPlanted(t *testing.T) {
	t.Logf("%-3s %6s  %-9s %s", "bug", "seeds", "by", "words")
	for _, b := range bugs() {
		if *only > 0 && *only != b.number {
			continue
		}
		tried := 0
		bad := b.find(&tried)
		if bad == nil {
			t.Errorf("%-3d %6d  %-9s %s", b.number, tried, "nothing", b.words)
			continue
		}
		t.Logf("%-3d %6d  %-9s %s", b.number, tried, bad.Invariant, b.words)
	}
}

// find tries seeds until one fails with the bug that does not without it.
func (b planted) find(tried *int) *Violation {
	for *tried < enough {
		*tried++
		if _, bad := tryWith(b.number, uint64(*tried), nil); bad != nil {
			if _, anyway := tryWith(0, uint64(*tried), nil); anyway == nil {
				return bad
			}
		}
	}
	return nil
}
