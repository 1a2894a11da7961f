// Package remote reaches hosts over SSH: it dials, asks, and runs durable jobs. It is the only importer of
// golang.org/x/crypto/ssh. It may import engine (for the ticket and the error answers), engine/printable and
// engine/document (for the inventory file).
package remote

import (
	"context"
	"fmt"
	"strings"

	"upgrader.dev/upgrader/engine"
)

// A Script is a piece of POSIX shell, constant in the source of a kind, and the values it works on. The values enter as
// environment variables, never as text of the script. It runs as root (unless AsUser) with a fixed PATH, LC_ALL=C, a
// umask of 077 and no standard input, and travels over standard input, so that neither it nor its values show in the
// process list of the host.
type Script struct {
	Text   string            // POSIX sh; `set -eu` is in force
	Env    map[string]string // names are [A-Z_][A-Z0-9_]*
	Secret map[string]string // like Env; the values are scrubbed from everything that comes back
	AsUser bool              // as the login user instead of root

	// Foreign is a text that is not this program's own. It may leave processes behind that print later, which no other
	// script may take for its own output.
	Foreign bool
}

// Result is what a script said, printable: what a host says is never to be had as it came.
type Result struct {
	Stdout string // capped at 256 KiB: head and tail are kept and the gap says how much is missing
	Stderr string // likewise
}

// An ExitError says that a script ran and ended with a status other than 0.
type ExitError struct {
	Host   string
	Code   int
	Signal string // if one ended it
	Tail   string // the last lines of its output, standard error where there is any; printable, at most 3 KiB
}

// Error says how the script ended, with the last lines of its output.
func (e *ExitError) Error() string {
	s := fmt.Sprintf("%s: exit status %d", e.Host, e.Code)
	if e.Signal != "" {
		s = fmt.Sprintf("%s: ended by signal %s", e.Host, e.Signal)
	}
	if t := strings.TrimSpace(e.Tail); t != "" {
		s += ": " + t
	}
	return s
}

// ExitCode is the status that the script ended with; retry.on of a plan sees it as error.exitCode.
func (e *ExitError) ExitCode() int { return e.Code }

// A Job is an effect on a host that outlives the connection: a transient systemd unit under the ticket's ID whose
// output and exit status stay in files.
type Job struct {
	Script
	Name string // for people: "apt-get install kubeadm=1.28.15-1.1"
	// Safe says that stopping it half-way harms nothing, so that a timeout may kill it. apt-get and kubeadm never are.
	Safe bool
}

// A Host is one machine that steps act on. All its methods share one connection, dial when needed, connect again when
// it was lost, and are safe for concurrent use. Errors: *ExitError when the script ran and failed; an engine.Transient
// error when the host could not be asked and nothing happened; engine.ErrReadOnly from the host of a dry run.
type Host interface {
	Name() string

	// Query runs a script that only reads. It is repeated by itself after a lost connection.
	Query(ctx context.Context, s Script) (Result, error)

	// Run runs a script that writes, once, as a plain command: for convergent changes of a moment, such as a small
	// file. A connection lost on the way is an engine.InDoubt error.
	Run(ctx context.Context, t engine.Ticket, s Script) (Result, error)

	// Do runs a durable job under the ticket's ID and waits for its end, tailing its output to t.Out. A second Do with
	// the same ticket attaches to the first. When ctx ends the job goes on (unless it is Safe) and the error is an
	// engine.InDoubt; so it is when the host was lost for good. engine.ErrFenced when the host has seen a larger epoch.
	Do(ctx context.Context, t engine.Ticket, j Job) error
}

// Hosts finds a host by its name in the inventory. The Fleet is one; tests have others.
type Hosts interface {
	Host(name string) (Host, error)
}
