//go:build linux

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Build makes what the releases need and the cache lacks, and tells on show how far it is. With everything there it
// returns at once, without a word. Builds of the same cache wait for each other.
func Build(ctx context.Context, c Cache, releases []Release, show io.Writer) error {
	src, err := findSource(ctx)
	if err != nil {
		return err
	}
	parts, err := allParts(c, src, releases)
	if err != nil {
		return err
	}
	todo := stale(c, parts)
	if len(todo) == 0 {
		return nil
	}
	if err := errors.Join(Missing(), needRoot(todo), noLabs(c, todo)); err != nil {
		return err
	}
	unlock, err := lock(ctx, c.path("lock"), show)
	if err != nil {
		return err
	}
	defer unlock()
	return makeParts(ctx, c, src, stale(c, parts), show)
}

func makeParts(ctx context.Context, c Cache, src source, parts []part, show io.Writer) error {
	if len(parts) == 0 { // somebody else has made them meanwhile
		return nil
	}
	if err := os.RemoveAll(c.path("tmp")); err != nil { // of a build that was killed
		return fmt.Errorf("clearing away an interrupted build: %w", err)
	}
	p := newProgress(show)
	p.say("building %d parts of the lab into %s%s", len(parts), c.Dir, patience(parts))
	for _, one := range parts {
		if err := one.build(ctx, c, src, p); err != nil {
			return err
		}
	}
	return nil
}

// patience says how long it may take, if it is long: measured on 2 cores, with Go's build cache empty.
func patience(parts []part) string {
	if slices.ContainsFunc(parts, func(p part) bool { return strings.HasPrefix(p.name, "kubernetes ") }) {
		return "; for the first time, a Kubernetes release takes 5 to 15 minutes on 2 cores"
	}
	return ""
}

// needRoot says so if this is not root and must be: only root can make device nodes and files of other users.
func needRoot(todo []part) error {
	if os.Geteuid() == 0 || !slices.ContainsFunc(todo, isRootfs) {
		return nil
	}
	return errors.New("building the hosts' root file system needs root: run it again with sudo")
}

// noLabs refuses to take the root file system away from under running hosts.
func noLabs(c Cache, todo []part) error {
	if !slices.ContainsFunc(todo, isRootfs) {
		return nil
	}
	labs, err := filepath.Glob(c.Lab("[^.]*"))
	if err != nil || len(labs) == 0 {
		return err
	}
	return fmt.Errorf("%s runs on the hosts' root file system, which is to be replaced: run `lab down --all` first", filepath.Base(labs[0]))
}

func isRootfs(p part) bool { return p.name == rootfsName }
