//go:build linux

package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// layout is in the key of what this package lays out by itself: root file system, packages, images. Raise it when the
// code changes what comes out, which no other item of the key shows.
const layout = "layout 1"

// keyOf is the hash of what a part is made from. Each item counts with its length, so that none runs into the next.
func keyOf(items ...string) string {
	h := sha256.New()
	for _, item := range items {
		_, _ = fmt.Fprintf(h, "%d:%s", len(item), item) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// contents reads files, to be part of a key.
func contents(paths ...string) (string, error) {
	var all strings.Builder
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("what the lab is built from is not complete: %w", err)
		}
		fmt.Fprintf(&all, "%d:%s", len(data), data)
	}
	return all.String(), nil
}

// stale returns the parts to make: those whose key is another one than that of what is there, or that is gone.
func stale(c Cache, parts []part) []part {
	var todo []part
	for _, p := range parts {
		if !p.present(c) {
			todo = append(todo, p)
		}
	}
	return todo
}

func (p part) present(c Cache) bool {
	key, err := os.ReadFile(p.keyFile(c))
	if err != nil || string(key) != p.key+"\n" {
		return false
	}
	for _, product := range p.products {
		if _, err := os.Lstat(product); err != nil {
			return false
		}
	}
	return true
}

func (p part) keyFile(c Cache) string { return c.path("keys", fileName(p.name)) }

// forget says that the part is not there, while it is being made.
func (p part) forget(c Cache) error {
	if err := os.Remove(p.keyFile(c)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("starting on %s: %w", p.name, err)
	}
	return nil
}

// remember says that the part is there.
func (p part) remember(c Cache) error {
	if err := writeFile(p.keyFile(c), []byte(p.key+"\n")); err != nil {
		return fmt.Errorf("noting that %s is built: %w", p.name, err)
	}
	return nil
}

// makeFolder makes a folder as the cache's are: for everybody to read, since hosts and people are served from it.
func makeFolder(path string) error {
	return os.MkdirAll(path, 0o755) //nolint:gosec // as said
}

// writeFile replaces a file at once: no reader sees half of it.
func writeFile(path string, data []byte) error {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o644); err != nil { //nolint:gosec // as its folder
		return err
	}
	return os.Rename(next, path)
}
