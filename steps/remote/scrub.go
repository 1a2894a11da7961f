package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/redact"
)

// guarded are the secrets of one call: those of its script, and the password that sudo was given for it. This is where
// all that comes back from a host is made to show none of them.
func guarded(secrets map[string]string, password []byte) redact.Known {
	values := make([]string, 0, 2*(len(secrets)+1))
	for _, v := range secrets {
		values = append(values, v)
	}
	if len(password) > 0 {
		values = append(values, string(password))
	}
	for _, v := range slices.Clone(values) {
		values = append(values, printable.Text(v)) // as another part of this program may have printed it
	}
	return redact.NewKnown(values...)
}

// guard is what is guarded in the jobs of this host.
func (h *host) guard(ctx context.Context, user string, secrets map[string]string) (redact.Known, error) {
	var c call
	if err := h.become(ctx, &c, user, false); err != nil {
		return redact.Known{}, err
	}
	defer clear(c.password)
	return guarded(secrets, c.password), nil
}

// clear sees to what the host keeps of a job whose secrets nobody here knows: it goes with the job's end. Of one that was
// cut off, a person has to find out how far it came, and may need it.
func (w *watch) clear(ctx context.Context, verdict string) {
	switch withheld := w.f.isWithheld(); {
	case w.out.Found(), withheld && strings.HasPrefix(verdict, "rc "):
		w.forget(ctx)
	case withheld:
		w.h.fleet.warn(fmt.Sprintf("%s: what job %s printed may hold secrets and is not shown; it is in %s/jobs/%s.out there: remove it when you have looked", w.h.name, w.t.ID, w.h.fleet.sh.dir, w.t.ID))
	}
}

// forget removes what the host keeps of the job's output, which nobody has scrubbed there. How the job ended stays.
func (w *watch) forget(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, stopTimeout, fmt.Errorf("no answer within %s", stopTimeout))
	defer cancel()
	err := w.h.aside(ctx, w.t, forgetScript)
	for try := 1; errors.Is(err, errLost) && try < queryTries; try++ {
		err = w.h.aside(ctx, w.t, forgetScript)
	}
	if err != nil {
		w.h.fleet.warn(fmt.Sprintf("%s: the output of job %s may hold secrets and stays on the host, in %s/jobs/%s.out: %v", w.h.name, w.t.ID, w.h.fleet.sh.dir, w.t.ID, err))
	}
}
