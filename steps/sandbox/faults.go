package sandbox

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Faults are the troubles of a real network and of busy hosts, from a seed. Each actor (the API, the sshd of w1, the
// dpkg lock of w1) has a sequence of its own: what happens at its nth operation depends on the seed, the actor's name
// and n alone, never on the clock. Every fault is over after a second or two, and after each one its actor has a quiet
// stretch, so that a client that tries again gets through.
type Faults struct {
	Seed uint64
	Rate float64 // the share of operations that meet a fault, 0 to 1

	mu     sync.Mutex
	actors map[string]*actor
	told   func(FaultEvent)
}

// A FaultEvent is one fault that was made, a line of faults.jsonl.
type FaultEvent struct {
	Time      time.Time `json:"time"`
	Actor     string    `json:"actor"`
	Operation int       `json:"operation"` // the actor's nth, from 1
	Fault     string    `json:"fault"`
}

// actor is one sequence of operations.
type actor struct{ done, quiet, faults int }

const (
	quietStretch = 5   // operations without a fault after one: more than the attempts of a patient client
	faultLimit   = 400 // per actor, so that a run ends in every case
)

// ParseFaults reads the value of --faults: "seed=7,rate=0.05". Without a seed it is 1, without a rate 0.05.
func ParseFaults(s string) (*Faults, error) {
	f := &Faults{Seed: 1, Rate: 0.05}
	for part := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, fmt.Errorf("faults %q: %q is not name=value; write seed=N,rate=R, such as seed=7,rate=0.05", s, part)
		}
		var err error
		switch name {
		case "seed":
			f.Seed, err = strconv.ParseUint(value, 10, 64)
		case "rate":
			f.Rate, err = strconv.ParseFloat(value, 64)
			if err == nil && !(f.Rate >= 0 && f.Rate <= 1) {
				err = fmt.Errorf("%v is not between 0 and 1", f.Rate)
			}
		default:
			err = fmt.Errorf("unknown; there are seed and rate")
		}
		if err != nil {
			return nil, fmt.Errorf("faults %q: %s: %w", s, name, err)
		}
	}
	return f, nil
}

// String is the form that ParseFaults reads.
func (f *Faults) String() string {
	return fmt.Sprintf("seed=%d,rate=%s", f.Seed, strconv.FormatFloat(f.Rate, 'g', -1, 64))
}

// tell makes every fault known to told.
func (f *Faults) tell(told func(FaultEvent)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = told
}

// next says which of these faults the actor's next operation meets; "" is none. A nil Faults has none.
func (f *Faults) next(name string, kinds ...string) string {
	if f == nil || f.Rate == 0 || len(kinds) == 0 {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.actors == nil {
		f.actors = map[string]*actor{}
	}
	a := f.actors[name]
	if a == nil {
		a = &actor{}
		f.actors[name] = a
	}
	a.done++
	if a.quiet > 0 {
		a.quiet--
		return ""
	}
	dice := f.dice(name, a.done)
	if a.faults >= faultLimit || dice.Float64() >= f.Rate {
		return ""
	}
	a.faults, a.quiet = a.faults+1, quietStretch
	kind := kinds[dice.IntN(len(kinds))]
	if f.told != nil {
		f.told(FaultEvent{time.Now().UTC(), name, a.done, kind})
	}
	return kind
}

// dice are those of one operation of one actor.
func (f *Faults) dice(name string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	_, _ = h.Write(b[:])
	return rand.New(rand.NewPCG(f.Seed, h.Sum64()))
}
