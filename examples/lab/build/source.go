//go:build linux

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const modulePath = "upgrader.dev/upgrader"

// A source is the checkout that the lab is run in, and the Go that builds.
type source struct {
	root      string // where go.mod is
	lab       string // examples/lab in it
	goVersion string // go1.26.8
}

// findSource looks for the checkout upwards from the working directory, as go does. Nested modules cannot be embedded,
// so there is no lab without one.
func findSource(ctx context.Context) (source, error) {
	root, err := checkout()
	if err != nil {
		return source{}, err
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir = root
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return source{}, Missing()
	}
	if err != nil {
		return source{}, fmt.Errorf("asking go for its version: %w", err)
	}
	return source{root: root, lab: filepath.Join(root, "examples", "lab"), goVersion: strings.TrimSpace(string(out))}, nil
}

func checkout() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("looking for the checkout of upgrader: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(data, []byte("module "+modulePath+"\n")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in a checkout of upgrader, which holds what pins the lab's sources: "+
				"run it inside a checkout of upgrader", start)
		}
	}
}

// module is the folder of the nested module that pins the sources of one thing.
func (s source) module(name string) string { return filepath.Join(s.lab, "modules", name) }

// pinned is the part of a key that says from which sources and with which Go a module is built.
func (s source) pinned(module string) (string, error) {
	dir := s.module(module)
	data, err := contents(filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum"))
	if err != nil {
		return "", err
	}
	return keyOf(s.goVersion, runtime.GOARCH, data), nil
}
