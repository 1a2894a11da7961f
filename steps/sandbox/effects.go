package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// An Effect is one line of effects.jsonl: a change that somebody made to a pretend machine or to the pretend API, or
// a verdict of the sandbox itself (Unavailable, SkewViolation). Reading never makes one, nor does what the cluster does
// on its own, such as a pod coming back elsewhere.
type Effect struct {
	Time   time.Time `json:"time"`
	Host   string    `json:"host,omitempty"` // the machine or node concerned; empty: the cluster
	What   string    `json:"what"`           // an Effect constant of this package or of machine
	Detail string    `json:"detail"`         // what exactly, for people and for tests
	Ticket string    `json:"ticket,omitempty"`
	Run    string    `json:"run,omitempty"` // as the client says in its User-Agent ("run/ID"), if it does
}

// The sorts of change that the API records, beside those of machine.
const (
	EffectCordon   = "cordon"          // a node takes no new pods any more
	EffectUncordon = "uncordon"        // and takes them again
	EffectNode     = "node"            // labels, annotations or taints of a node changed
	EffectEvict    = "evict"           // an eviction was accepted
	EffectDelete   = "delete"          // an object was deleted
	EffectCreate   = "create"          // an object was made; of leases and events too
	EffectUpdate   = "update"          // an object other than a node was changed
	EffectVersion  = "cluster-version" // kubeadm-config names another version

	// Unavailable is the sandbox's own count, written at each change: "2/5 workers: w1 cordoned, w3 NotReady".
	Unavailable = "UNAVAILABLE"
	// SkewViolation says that versions run together that Kubernetes does not support together.
	SkewViolation = "SKEW VIOLATION"
)

// A record is an append-only file of JSON lines. Every line is one write, so that it survives the end of the process
// and a reader never sees half of one but the last.
type record struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first failure to write; later lines are dropped, Close tells
}

// openRecord begins a record anew: a new cluster has no past. A directory whose sandbox still runs is refused.
func openRecord(path string) (*record, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the sandbox's record: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use: another sandbox runs in this directory; stop it or use another directory: %w", path, err), f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("emptying the sandbox's record: %w", err), f.Close())
	}
	return &record{file: f}, nil
}

func (r *record) write(line any) {
	b, err := json.Marshal(line)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.err == nil {
		_, err = r.file.Write(append(b, '\n'))
	}
	if r.err == nil {
		r.err = err
	}
}

func (r *record) add(e Effect) {
	e.Time = time.Now().UTC()
	r.write(e)
}

// Record makes the file a machine.Recorder.
func (r *record) Record(e machine.Effect) {
	r.add(Effect{Host: e.Host, What: e.What, Detail: e.Detail, Ticket: e.Ticket})
}

func (r *record) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.file.Close(); r.err == nil {
		r.err = err
	}
	return r.err
}

// ReadEffects returns the effects of an effects.jsonl, in the order in which they happened. A line that is being
// written at this moment is left out.
func ReadEffects(path string) ([]Effect, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the sandbox's effects: %w", err)
	}
	if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
		data = data[:i+1]
	} else {
		data = nil
	}
	var all []Effect
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Effect
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return all, fmt.Errorf("%s: line %d is no effect: %w", path, len(all)+1, err)
		}
		all = append(all, e)
	}
	return all, lines.Err()
}
