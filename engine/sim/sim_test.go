package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	seeds = flag.Int("seeds", 2000, "how many seeds to try")
	from  = flag.Uint64("from", 1, "the first seed")
)

// TestSeeds tries seeds, on all processors. With one seed it prints what happens; with more, the first that fails.
func TestSeeds(t *testing.T) {
	if *seeds == 1 {
		if _, bad := Run(*from, t.Logf); bad != nil {
			t.Fatal(bad)
		}
		return
	}
	if testing.Short() { // under the race detector: there is nothing to race for
		*seeds = min(*seeds, 100)
	}
	effort, bad := try(*from, *seeds)
	if bad != nil {
		t.Fatalf("%v\nrepeat it with: make sim SEED=%d", bad, bad.Seed)
	}
	t.Logf("%d seeds: %d processes, %d events, %d effects, %.0f hours of the run's time", *seeds, effort.Processes, effort.Events, effort.Effects, effort.Elapsed.Hours())
}

// try runs seeds side by side and returns the smallest that failed.
func try(from uint64, seeds int) (total Effort, worst *Violation) {
	var next, end atomic.Uint64
	var mu sync.Mutex
	var all sync.WaitGroup
	next.Store(from)
	end.Store(from + uint64(seeds))
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			var own Effort
			for seed := next.Add(1) - 1; seed < end.Load(); seed = next.Add(1) - 1 {
				spent, bad := Run(seed, nil)
				own.add(spent)
				if bad != nil {
					mu.Lock()
					if worst == nil || bad.Seed < worst.Seed {
						worst = bad
						end.Store(seed)
					}
					mu.Unlock()
					break
				}
			}
			mu.Lock()
			total.add(own)
			mu.Unlock()
		})
	}
	all.Wait()
	return total, worst
}

// TestOneSeedOneTrace runs seeds twice, and everything happens again, word by word.
func TestOneSeedOneTrace(t *testing.T) {
	for seed := uint64(1); seed <= 40; seed++ {
		var traces [2]strings.Builder
		for i := range traces {
			_, _ = Run(seed, func(format string, args ...any) { _, _ = fmt.Fprintf(&traces[i], format+"\n", args...) })
		}
		if traces[0].String() != traces[1].String() {
			t.Errorf("seed %d has two traces", seed)
		}
	}
}
