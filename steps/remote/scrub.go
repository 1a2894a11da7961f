package remote

import (
	"context"
	"slices"

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
		values = append(values, Printable(v)) // as another part of this program may have printed it
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
