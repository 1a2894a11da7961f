package kube

import (
	"fmt"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/printable"
)

// An Identity says on whose behalf a lock is held.
type Identity struct {
	Run     string // the run's ID
	Person  string // who runs it
	Machine string // where
	Plan    string // the plan's name, for others to see

	// LockFile names the lock file that this process holds for as long as it lives: boot of the machine, device and inode.
	// Whoever holds the very same one knows that the process before is gone. Empty: nobody can know.
	LockFile string
}

func (i Identity) who() string { return i.Person + "@" + i.Machine }

// holder is the Lease's holderIdentity: RUN@PERSON@MACHINE/NONCE.
func (i Identity) holder(nonce string) string { return i.Run + "@" + i.who() + "/" + nonce }

// unlocking is the run that a Lease names while a person takes the lock away. No run is called so.
const unlocking = "unlock"

// Notes on the Lease that the lock goes by; the others are for people only.
const (
	noteLockFile = "lock-file"
	noteUnlocks  = "unlocks"     // the identity that the lock is being taken away from
	noteUnlocked = "unlocked-by" // who took it away last
)

// A Holder is who has the lock.
type Holder struct {
	Run       string
	Who       string // person@machine
	Nonce     string // of the process; empty: written by a version without
	Plan      string
	Since     time.Time
	Renewed   time.Time
	Epoch     int64
	Expired   bool   // not renewed for longer than the lease lasts, by this machine's clock
	LockFile  string // of the process, see Identity
	Unlocking string // who is taking the lock away from it, or was when killed: person@machine; empty: nobody

	identity string // as the Lease has it
}

// Name is what `unlock --run` takes: the run and the very process, RUN/NONCE.
func (h Holder) Name() string {
	if h.Nonce == "" {
		return h.Run
	}
	return h.Run + "/" + h.Nonce
}

// Is says whether a person means this holder by a name: RUN, or RUN/NONCE.
func (h Holder) Is(name string) bool { return name != "" && (name == h.Run || name == h.Name()) }

// holder is who has the lock by its Lease.
func (l lease) holder(now time.Time) Holder {
	h := Holder{
		Plan: printable.Line(l.said("plan"), printable.Word), Since: l.acquired, Renewed: l.renewed, Epoch: l.epoch,
		Expired: now.Sub(l.renewed) > l.duration, LockFile: l.said(noteLockFile), identity: l.identity,
	}
	h.Run, h.Who, h.Nonce = parts(l.identity)
	if h.Run == unlocking {
		h.Unlocking = h.Who
		h.Run, h.Who, h.Nonce = parts(l.said(noteUnlocks))
	}
	return h
}

// parts takes a holderIdentity apart.
func parts(identity string) (run, who, nonce string) {
	run, who, _ = strings.Cut(identity, "@")
	if i := strings.LastIndex(who, "/"); i > strings.LastIndex(who, "@") {
		who, nonce = who[:i], who[i+1:]
	}
	return run, who, nonce
}

// A HeldError says that another run, or another process of the same one, has the lock.
type HeldError struct {
	Holder
	Same bool // run as the one that asked
}

// Error says who has the lock since when, and what the operator can do.
func (e *HeldError) Error() string {
	if e.Unlocking != "" {
		return fmt.Sprintf("%s is taking the cluster's lock away from run %s of %s, or was cut short in that; to finish it: `upgrader unlock`", e.Unlocking, e.Run, e.Who)
	}
	state := "last renewed " + ago(e.Renewed)
	if e.Expired {
		state = "not renewed for " + strings.TrimSuffix(ago(e.Renewed), " ago") + ", so its upgrader is probably gone"
	}
	subject := "the cluster is locked by run " + e.Run
	if e.Same {
		subject = fmt.Sprintf("the cluster is locked by another process (%s) of this very run %s", e.Nonce, e.Run)
	}
	return fmt.Sprintf("%s of %s since %s (%s); go on with that run there: `upgrader resume %s`, or, once you know that it does nothing any more, take the lock away: `upgrader unlock --run %s`",
		subject, e.Who, e.Since.Format(time.RFC3339), state, e.Run, e.Name())
}

func ago(t time.Time) string { return time.Since(t).Round(time.Second).String() + " ago" }
