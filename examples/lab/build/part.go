//go:build linux

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A part is made as a whole or not at all.
type part struct {
	name     string
	key      string
	products []string // paths that are there once it is made
	make     func(ctx context.Context, j *job) error
}

// A job is the making of one part.
type job struct {
	cache Cache
	src   source
	tmp   string    // for this part alone, in the cache, so that what is ready can be renamed
	log   io.Writer // output of commands, into a file and to show
	show  *progress
}

// allParts are the parts of some releases, in an order in which they can be made. What releases share comes once.
func allParts(c Cache, src source, releases []Release) ([]part, error) {
	l := list{cache: c, src: src, seen: map[string]bool{}}
	l.add(l.pod())
	l.add(l.crictl())
	l.add(l.cni())
	l.add(l.rootfs())
	l.add(l.podImage())
	for _, r := range releases {
		l.add(l.kubernetes(r))
		l.add(l.etcd(r))
		l.add(l.coredns(r))
		l.add(l.packages(r))
		l.add(l.images(r))
	}
	return l.parts, errors.Join(l.errs...)
}

// A list collects parts.
type list struct {
	cache Cache
	src   source
	parts []part
	seen  map[string]bool
	errs  []error
}

func (l *list) add(p part, err error) {
	if err != nil {
		l.errs = append(l.errs, err)
	}
	if !l.seen[p.name] {
		l.seen[p.name] = true
		l.parts = append(l.parts, p)
	}
}

// keysOf is for the key of a part that is made from others, which were added before.
func (l *list) keysOf(names ...string) string {
	var keys []string
	for _, name := range names {
		for _, p := range l.parts {
			if p.name == name {
				keys = append(keys, p.key)
			}
		}
	}
	return keyOf(keys...)
}

// build makes the part and shows it, with its output in a log of its own. An error says where to read on and what to do.
func (p part) build(ctx context.Context, c Cache, src source, show *progress) error {
	path := c.log(p.name)
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("making the folder of logs: %w", err)
	}
	log, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	done := show.watch(p.name, path)
	err = errors.Join(p.into(ctx, c, src, log, show), log.Close())
	switch {
	case ctx.Err() != nil:
		done("stopped after")
		return fmt.Errorf("building %s: %w; what is finished stays, run it again to go on", p.name, context.Cause(ctx))
	case err != nil:
		done("failed after")
		show.say("%s", lastLines(path))
		return fmt.Errorf("building %s: %w; all of its output is in %s. What is finished stays: run it again once this is mended", p.name, err, path)
	default:
		done("built in")
		return nil
	}
}

func (p part) into(ctx context.Context, c Cache, src source, log io.Writer, show *progress) (err error) {
	j := &job{cache: c, src: src, tmp: c.path("tmp", fileName(p.name)), log: io.MultiWriter(log, show), show: show}
	if err := makeFolder(j.tmp); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(j.tmp)) }()
	if err := p.forget(c); err != nil {
		return err
	}
	if err := p.make(ctx, j); err != nil {
		return err
	}
	return p.remember(c)
}

// publish puts a finished directory where it belongs, in one step if the file system can, and takes away what was there.
func (j *job) publish(from, to string) error {
	if err := makeFolder(filepath.Dir(to)); err != nil {
		return err
	}
	if _, err := os.Lstat(to); errors.Is(err, os.ErrNotExist) {
		return os.Rename(from, to)
	}
	if unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE) == nil {
		return os.RemoveAll(from)
	}
	old := from + ".old" // a file system that cannot exchange
	if err := os.Rename(to, old); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return os.RemoveAll(old)
}

// seconds is how durations are shown.
func seconds(d time.Duration) string { return d.Round(time.Second).String() }
