//go:build linux

package main

import (
	"slices"
	"testing"
)

// What is wrong with a call itself is told by the exit code, before anything is done.
func TestWrongUsage(t *testing.T) {
	t.Setenv("LAB_CACHE", t.TempDir())
	for _, tt := range []struct {
		args []string
		code int
	}{
		{[]string{"upp"}, exitUsage},
		{[]string{"up", "--control-plane", "1"}, exitUsage},
		{[]string{"up", "-c", "0"}, exitUsage},
		{[]string{"up", "--version", "1.30"}, exitUsage},
		{[]string{"ssh"}, exitUsage},
		{[]string{"exec", "w1"}, exitUsage},
		{[]string{"probe", "--output", "yaml"}, exitUsage},
		{[]string{"status"}, exitFailed}, // there is no lab
		{[]string{"kubectl", "--context", "x", "get", "nodes"}, exitFailed},
		{[]string{"down"}, exitDone},
		{[]string{"--help"}, exitDone},
	} {
		if code := lab(t.Context(), tt.args); code != tt.code {
			t.Errorf("lab %v: exit code %d, want %d", tt.args, code, tt.code)
		}
	}
}

// A command for a host may be set off by --, as ssh and kubectl allow.
func TestCommand(t *testing.T) {
	for _, tt := range []struct{ args, want []string }{
		{[]string{"w1"}, []string{}},
		{[]string{"w1", "ls", "-l"}, []string{"ls", "-l"}},
		{[]string{"w1", "--", "ls", "--", "x"}, []string{"ls", "--", "x"}},
	} {
		if got := command(tt.args); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.args, got, tt.want)
		}
	}
}
