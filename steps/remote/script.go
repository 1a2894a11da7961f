package remote

import (
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/engine"
)

// The host's side. The first comment of each script says what it does.
var (
	//go:embed scripts/identify.sh
	identifyScript string
	//go:embed scripts/state.sh
	stateScript string
	//go:embed scripts/seen.sh
	seenScript string
	//go:embed scripts/fence.sh
	fenceScript string
	//go:embed scripts/take.sh
	takeScript string
	//go:embed scripts/claim.sh
	claimScript string
	//go:embed scripts/place.sh
	placeScript string
	//go:embed scripts/start.sh
	startScript string
	//go:embed scripts/follow.sh
	followScript string
	//go:embed scripts/prune.sh
	pruneScript string
	//go:embed scripts/job.sh
	jobScript string
	//go:embed scripts/ended.sh
	endedScript string
	//go:embed scripts/forget.sh
	forgetScript string
	//go:embed scripts/stop.sh
	stopScript string
)

const (
	defaultStateDir = "/var/lib/upgrader"
	defaultPath     = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// bootedDir exists where systemd is the init system (sd_booted(3)).
	bootedDir = "/run/systemd/system"
	// hostOutputCap is how large a job's output may grow on the host before it is dropped there.
	hostOutputCap = 32 << 20
	// hostRoomy is so much room, in bytes, on the disk of a host's state directory that no job fills it between two looks at
	// its output: one that writes at the speed of memory needs seconds, the looks are a quarter of one apart.
	hostRoomy = 8 << 30
)

var (
	envName  = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
	ticketID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,119}$`)
)

// A shell writes the programs that hosts run.
type shell struct {
	dir    string // state directory on the hosts
	path   string // PATH
	booted string // the directory that tells systemd
	cap    int    // of a job's output on the host
}

// quote makes one word of s for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// newMark makes a word that nothing else on the connection contains. Its first letter ends none of the words that somebody
// waits for: what may be the beginning of a mark is held back until more has come.
func newMark() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return "U" + hex.EncodeToString(b)
}

// closing ends every program, and has its shell say so on both outputs. It is sent apart: without it the shell finds no
// complete command and runs nothing.
func closing(mark string) string {
	return "\n)\nprintf '%s done %s\\n' " + mark + " $?\nprintf '%s done\\n' " + mark + " >&2\n}\n"
}

// program wraps text so that the shell reads all of it before it runs any, and so that nothing in it can eat the rest or
// change the shell. before runs first; then the mark on both outputs says that the text itself begins: a login shell may
// print anything.
func (sh shell) program(mark, before, text string) string {
	return "{\n(\nexec </dev/null\n" + sh.settings() + "set -eu\n" + before +
		"printf '%s begin\\n' " + mark + "\nprintf '%s begin\\n' " + mark + " >&2\n" + text + "\n"
}

// unhurried has a text that writes go on for the ten seconds between the two signals where nobody listens any more: half
// of what it does is worse than all or nothing.
const unhurried = "trap '' TERM 2>/dev/null || :\n"

func (sh shell) settings() string {
	return "umask 077\nLC_ALL=C PATH=" + quote(sh.path) + " HOME=${HOME:-/root}\nexport LC_ALL PATH HOME\n"
}

// body is a script's values and text.
func body(s Script) (string, error) {
	var b strings.Builder
	values := maps.Clone(s.Env)
	if values == nil {
		values = map[string]string{}
	}
	maps.Copy(values, s.Secret)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !envName.MatchString(name) {
			return "", fmt.Errorf("%q cannot be the name of an environment variable: want [A-Z_][A-Z0-9_]*", name)
		}
		if strings.ContainsRune(values[name], 0) {
			return "", fmt.Errorf("the value of %s holds a NUL byte, which no environment variable can", name)
		}
		fmt.Fprintf(&b, "%s=%s\nexport %s\n", name, quote(values[name]), name)
	}
	if strings.ContainsRune(s.Text, 0) {
		return "", fmt.Errorf("the script holds a NUL byte")
	}
	return b.String() + s.Text + "\n", nil
}

// asUser lets the login user run a body where everything else runs as root.
func (sh shell) asUser(user, text string) string {
	inner := "{\nexec </dev/null\n" + sh.settings() + "set -eu\n" + text + "\nexit\n}\n"
	return "printf '%s' " + quote(inner) + " | runuser -u " + quote(user) + " -- /bin/sh\n"
}

// fenced is what comes before a text that writes: a safe state directory, and no newer controller.
func (sh shell) fenced(mark string, t engine.Ticket, trusted bool) string {
	return sh.ground(mark, t, trusted) + seenScript + "if [ \"$seen $sure\" != \"$UPGRADER_EPOCH $UPGRADER_EPOCH\" ]; then\n" + locked(fenceScript) + "fi\n"
}

// ground is what a session with a host's state stands on. The directory is trusted if a session of this connection found it
// safe.
func (sh shell) ground(mark string, t engine.Ticket, trusted bool) string {
	return exports(map[string]string{
		"UPGRADER_DIR": sh.dir, "UPGRADER_SYSTEMD": sh.booted, "UPGRADER_MARK": mark,
		"UPGRADER_ID": t.ID, "UPGRADER_EPOCH": strconv.FormatInt(t.Epoch, 10), "UPGRADER_TRUSTED": yes(trusted),
	}) + "cd /\n" + stateScript
}

// locked runs a text under the lock of the host's state.
func locked(text string) string {
	return "flock -x \"$d/lock\" /bin/sh -c " + quote(text) + " || exit $?\n"
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func assigns(values map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%s=%s\n", name, quote(values[name]))
	}
	return b.String()
}

func exports(values map[string]string) string {
	return assigns(values) + "export " + strings.Join(slices.Sorted(maps.Keys(values)), " ") + "\n"
}

// What a session with a job's host is for.
type mode string

const (
	launch mode = "launch" // start it if nobody has, then follow
	attach mode = "attach" // follow it; it was seen running
	settle mode = "settle" // make sure that it never starts if it has not, else follow
)

// A placement is a job as it goes to the host.
type placement struct {
	text    string // the program that runs there
	name    string
	private bool // the text holds secrets
}

// jobProgram is what follows, or first launches, the job of a ticket.
func (sh shell) jobProgram(mark string, m mode, t engine.Ticket, p placement, offset int64, trusted bool) string {
	before := sh.fenced(mark, t, trusted)
	if m == settle {
		before = sh.ground(mark, t, trusted) + locked(fenceScript+takeScript+claimScript)
	}
	copyName := mark
	if p.private {
		copyName = "secret-" + mark
	}
	before += assigns(map[string]string{ // not exported: the job may be larger than an environment
		"UPGRADER_MODE": string(m), "UPGRADER_OFFSET": strconv.FormatInt(offset, 10), "UPGRADER_JOB": p.text, "UPGRADER_COPY": copyName,
	})
	return sh.program(mark, before+placeScript, takeScript+startScript+followScript+pruneScript)
}

// place makes a job's program. All but its first lines is one complete command, so that the shell has read it before any of
// it begins, and the file may go. The first lines say where the shell's complaint goes if it cannot read the rest, and take
// the lock that tells of the job's life, unless it was inherited.
func (sh shell) place(t engine.Ticket, j Job, loginUser string) (placement, error) {
	text, err := body(j.Script)
	if err != nil {
		return placement{}, fmt.Errorf("job %q: %w", j.Name, err)
	}
	if j.AsUser && loginUser != "root" {
		text = sh.asUser(loginUser, text)
	}
	sum := sha256.Sum256([]byte(j.Text))
	values := map[string]string{
		"d": sh.dir, "j": sh.dir + "/jobs/" + t.ID, "epoch": strconv.FormatInt(t.Epoch, 10), "cap": strconv.Itoa(sh.cap),
		"roomy": strconv.FormatInt(hostRoomy, 10),
		"name":  strings.ReplaceAll(j.Name, "\n", " "), "digest": hex.EncodeToString(sum[:]), "private": yes(len(j.Secret) > 0),
	}
	forget := "unset -f take abandon shorten keep_short write_down\nunset boot now durable room word keep reader lost " + strings.Join(slices.Sorted(maps.Keys(values)), " ")
	return placement{
		text: assigns(values) + "exec >>\"$j.out\" 2>&1\n[ \"${1-}\" = held ] || { exec 8>>\"$j.out\" && flock -x 8; }\n" +
			"{\n" + sh.settings() + "cd /\n" + takeScript + jobScript + "(\nset -eu\n" + forget + "\n" + text + "\n) 9<&-\n" + endedScript + "}\n",
		name: j.Name, private: len(j.Secret) > 0,
	}, nil
}
