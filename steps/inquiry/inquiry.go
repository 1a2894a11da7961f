// Package inquiry asks a host about several things in one round trip. It has the one format in which scripts tell what they
// saw, the shell that writes it and asks what may hang for no longer than it may take, and the one reader of it. What is
// asked and what it means is the affair of others: survey, doctor and etcd.
//
// It only reads. It may import engine/printable and remote.
package inquiry

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"strings"

	"upgrader.dev/upgrader/steps/remote"
)

//go:embed inquiry.sh
var inquiryScript string

// A Question is a script about one thing.
type Question struct {
	Name string            // a word, by which its answer is found
	Text string            // shell, with `set -eu` in force; it may end with any status
	Env  map[string]string // its variables, which the other questions see too
}

// Patiently is a script that may use the shell of inquiry.sh: section, bar, within and soon.
func Patiently(text string) string { return inquiryScript + text }

// Script asks first what base asks, then every question. Base, whose name does not count and which may be zero, runs in the
// shell itself: if it fails, nothing else is asked, and the questions find its variables. Each of them runs in a shell of
// its own, and takes no other with it.
func Script(base Question, questions ...Question) remote.Script {
	env := map[string]string{}
	maps.Copy(env, base.Env)
	var text strings.Builder
	text.WriteString(base.Text)
	for _, q := range questions {
		maps.Copy(env, q.Env)
		fmt.Fprintf(&text, "\nquestion %s\nset +e\n(\nset -eu\n%s\n)\nanswered $?\nset -e\n", q.Name, q.Text)
	}
	return remote.Script{Text: Patiently(text.String()), Env: env}
}

// Ask asks a host everything in one round trip. Errors are those of remote.Host.Query, unwrapped.
func Ask(ctx context.Context, host remote.Host, base Question, questions ...Question) (Answers, error) {
	result, err := host.Query(ctx, Script(base, questions...))
	if err != nil {
		return Answers{}, err
	}
	return Read(result.Stdout, result.Stderr), nil
}
