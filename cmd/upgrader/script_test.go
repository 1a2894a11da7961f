package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // with a looser one, the directories that tests make are refused as anybody's would be
	testscript.Main(m, map[string]func(){"upgrader": main})
}

// TestScripts runs the command line against the scripts of testdata/script: what is typed, the exit code, and what is
// shown. The runbooks of the project are at $PLANS, and the state at $WORK/state.
func TestScripts(t *testing.T) {
	plans, err := filepath.Abs("../../plans")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PLANS", plans)
			env.Setenv("UPGRADER_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("USER", "tester")
			env.Setenv("LANG", "C.UTF-8")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "appears": appears, "soon": soon, "gone": gone},
		Condition: func(cond string) (bool, error) {
			if cond == "slow" {
				return !testing.Short(), nil
			}
			return false, errors.New("unknown condition " + cond)
		},
	})
}

// exits runs upgrader and wants an exit code: exits 3 run --flag.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec("upgrader", args[1:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("upgrader %v: exit code %d, want %d", args[1:], got, want)
	}
}

// appears waits until files are there: a server in the background has written them.
func appears(ts *testscript.TestScript, neg bool, args []string) {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		missing := slices.DeleteFunc(slices.Clone(args), func(f string) bool {
			_, err := os.Stat(ts.MkAbs(f))
			return err == nil
		})
		if len(missing) == 0 {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v did not appear", missing)
		}
	}
}

// soon runs upgrader until its standard output matches: soon PATTERN ARGS...
func soon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: soon PATTERN ARGS...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec("upgrader", args[1:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("upgrader %v never says %s (%v)", args[1:], args[0], err)
		}
	}
}

// gone wants that files are not there.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	for _, f := range args {
		if _, err := os.Lstat(ts.MkAbs(f)); err == nil {
			ts.Fatalf("%s is there", f)
		}
	}
}
