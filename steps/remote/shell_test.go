package remote

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"upgrader.dev/upgrader/engine/printable/hostile"
)

func testShell(dir string) shell {
	return shell{dir: dir, path: defaultPath, booted: bootedDir, cap: 1 << 20}
}

// Every value reaches the script as it was, through every shell that is /bin/sh somewhere.
func TestValuesSurviveEveryShell(t *testing.T) {
	shells := []string{"sh"}
	for _, name := range []string{"dash", "bash", "busybox"} {
		if _, err := exec.LookPath(name); err == nil {
			shells = append(shells, name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.OneOf(
			rapid.StringMatching(`[-'"\\$`+"`"+`!*~#&;|<>(){}\[\]=%\n\t\r a-c]{0,40}`),
			rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 60), func(b []byte) string { return string(b) }),
		).Draw(t, "value")
		text, err := body(Script{Text: `printf '%s.' "$VALUE"`, Env: map[string]string{"VALUE": raw}})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range shells {
			args := []string{}
			if name == "busybox" {
				args = append(args, "sh")
			}
			cmd := exec.Command(name, args...)
			cmd.Stdin = strings.NewReader(testShell("/x").program("m", "", text) + closing("m"))
			out, err := cmd.Output()
			if err != nil || string(out) != "m begin\n"+raw+".m done 0\n" {
				t.Fatalf("%s: %q became %q (%v)", name, raw, out, err)
			}
		}
	})
}

// A program that arrives in part does nothing: wherever the connection breaks, no command has run.
func TestPartOfAProgramRunsNothing(t *testing.T) {
	touched := filepath.Join(t.TempDir(), "touched")
	text, err := body(Script{Text: "echo x >>\"$F\"\ncat <<END\nx\nEND\n(echo y) >>\"$F\"\nif true; then echo z >>\"$F\"; fi # end", Env: map[string]string{"F": touched}})
	if err != nil {
		t.Fatal(err)
	}
	whole := testShell("/x").program("m", "", text) + closing("m")
	for _, name := range []string{"dash", "bash"} {
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		for n := range len(whole) - len("}\n") + 1 {
			cmd := exec.Command(name)
			cmd.Stdin = strings.NewReader(whole[:n])
			_ = cmd.Run()
			if _, err := os.Stat(touched); err == nil {
				t.Fatalf("%s: the first %d of %d bytes ran something", name, n, len(whole))
			}
		}
		cmd := exec.Command(name)
		cmd.Stdin = strings.NewReader(whole)
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(touched); string(b) != "x\ny\nz\n" {
			t.Fatalf("%s: the whole wrote %q", name, b)
		}
		_ = os.Remove(touched)
	}
}

func TestScriptsSurroundings(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		q := func(text string) (Result, error) { return r.host.Query(t.Context(), Script{Text: text, Foreign: true}) }
		got, err := q(`cat; printf '%s %s %s\n' "$PATH" "$LC_ALL" "$(umask)"; echo oops >&2`)
		if want := defaultPath + " C 0077\n"; err != nil || got.Stdout != want || got.Stderr != "oops\n" {
			t.Errorf("got %+v, %v, want %q", got, err, want)
		}
		for _, c := range []struct {
			text string
			code int
		}{{"exit 3", 3}, {"false\necho on", 1}, {"echo $unset_variable", 2}, {"if", 2}, {"true; (exit 9)", 9}, {`echo "no end`, 2}} {
			_, err := q(c.text)
			exit, ok := errors.AsType[*ExitError](err)
			if !ok || (exit.Code != c.code && c.code != 2) || exit.Code == 0 {
				t.Errorf("%q: %v, want exit status %d", c.text, err, c.code)
			}
		}
		if _, err := r.host.Query(t.Context(), Script{Text: "true", Env: map[string]string{"a;b": ""}}); err == nil {
			t.Error("a bad name of a variable was taken")
		}
	})
}

func TestMuchOutputIsCapped(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		got, err := r.host.Query(t.Context(), Script{Text: `echo first; head -c 30000000 /dev/zero | tr '\0' x; echo; echo last`})
		if err != nil || len(got.Stdout) > streamCap+100 {
			t.Fatalf("%d bytes, %v", len(got.Stdout), err)
		}
		if !strings.HasPrefix(got.Stdout, "first\n") || !strings.HasSuffix(got.Stdout, "\nlast\n") || !strings.Contains(got.Stdout, "bytes left out") {
			t.Errorf("head, gap or tail is missing: %.20q ... %q", got.Stdout, got.Stdout[len(got.Stdout)-20:])
		}
		err = r.host.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "loud", Script: Script{
			Text: `i=0; while [ $i -lt 40 ]; do head -c 1000000 /dev/zero | tr '\0' x; echo; i=$((i+1)); sleep 0.05; done; sleep 1; echo last; exit 6`}})
		exit, ok := errors.AsType[*ExitError](err)
		if !ok || exit.Code != 6 || !strings.HasSuffix(exit.Tail, "last") {
			t.Errorf("Do = %.200v", err)
		}
		if info, err := os.Stat(filepath.Join(r.state, "jobs/t-1.out")); err != nil || info.Size() > 25e6 {
			t.Errorf("40 MB of output left %d bytes on the host, %v", info.Size(), err)
		}
	})
}

// An error shows the end of what a command put out: whole lines where they are short, of a long one its head and tail,
// and never more than fits a screen.
func TestLastLines(t *testing.T) {
	if got := LastLines("0%\r50%\r100%\r\n" + strings.Repeat("x\n", 30)); strings.Count(got, "\n") != tailLines-1 {
		t.Errorf("%d lines", strings.Count(got, "\n")+1)
	}
	if got := LastLines("0%\r50%\r100%\r\n"); got != "100%" {
		t.Errorf("a progress bar: %q", got)
	}
	if got := LastLines("begins" + strings.Repeat("x", 60<<10) + "ends"); !strings.HasPrefix(got, "begins") || !strings.HasSuffix(got, "ends") || len(got) > tailLine {
		t.Errorf("a long line: %q", got)
	}
	for _, text := range append(hostile.Texts(), strings.Repeat(hostile.Text()+"\n", 100), strings.Repeat("\u202e\n", 1<<20)) {
		got := LastLines(text + "\nE: broken")
		if what, found := hostile.Obeyed(got); found || len(got) > tailBytes || !strings.HasSuffix(got, "E: broken") {
			t.Errorf("%s in %d bytes: %q", what, len(got), got)
		}
	}
}

// As the login user, a script that writes still passes root's fence first.
func TestAsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	text, err := body(Script{Text: `echo "$(id -un) $A"; exit 4`, Env: map[string]string{"A": "it's"}})
	if err != nil {
		t.Fatal(err)
	}
	sh := testShell("/x")
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(sh.program("m", "", sh.asUser("nobody", text)) + closing("m"))
	out, err := cmd.Output()
	if err != nil || string(out) != "m begin\nnobody it's\nm done 4\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// The scripts of the job runner run alike in every shell that is /bin/sh somewhere: the session's part and the job's own,
// on a disk with room and on one that a job would fill before anybody looks.
func TestJobsRunInEveryShell(t *testing.T) {
	for _, name := range []string{"dash", "bash", "busybox"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Logf("%s is not installed", name)
			continue
		}
		t.Run(name, func(t *testing.T) { jobsRun(t, path, hostDir(t)) })
		t.Run(name+" small", func(t *testing.T) { jobsRun(t, path, smallDisk(t, "size=64m")) })
	}
}

func jobsRun(t *testing.T, path, dir string) {
	alias := filepath.Join(t.TempDir(), "sh") // as /bin/sh it goes by this name
	if err := os.Symlink(path, alias); err != nil {
		t.Fatal(err)
	}
	sh := testShell(filepath.Join(dir, "state"))
	sh.booted, sh.cap = filepath.Join(dir, "no-systemd"), hostOutputCap
	run := func(m mode, id, text string) string {
		job := ticket(id, 1, nil)
		p, err := sh.place(job, Job{Name: "x", Script: Script{Text: text}}, "root")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), alias)
		cmd.Stdin = strings.NewReader(strings.ReplaceAll(sh.jobProgram("m", m, job, p, 0, false)+closing("m"), "/bin/sh", alias))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%.4096s", err, out)
		}
		return string(out)
	}
	for _, c := range []struct {
		m                mode
		id, text, expect string
	}{
		{launch, "t-1", "echo one; exit 7", "\nm at 0\none\n\nm end rc 7\nm done 0\n"},
		{launch, "t-1", "echo again", "\nm at 0\none\n\nm end rc 7\nm done 0\n"},
		{launch, "t-2", "echo begun; sleep 0.5; echo over", "\nm end rc 0\nm done 0\n"},
		{launch, "t-3", "kill -9 $$", "\nm end cut killed\nm done 0\n"},
		{launch, "t-4", "if true; then echo x", "\nm unstarted "},
		{settle, "t-5", "", "\nm end abandoned epoch 1 asked and found it not started\nm done 0\n"},
		{settle, "t-1", "", "\nm end rc 7\nm done 0\n"},
		{launch, "t-6", "yes 'a line' | head -c 60000000; sleep 0.5; echo last; exit 6", "last\n\nm end rc 6\nm done 0\n"},
		{launch, "t-8", "echo before; trap '' TERM; kill 0; sleep 0.3; echo after; sleep 0.5", "after\n\nm end cut killed\nm done 0\n"}, // TERM for all but the text
		{launch, "t-7", "command -v take shorten || echo \"${reader-none ${cap-of} ${j-ours}}\"", "\nm at 0\nnone of ours\n\nm end rc 0\n"},
	} {
		if out := run(c.m, c.id, c.text); !strings.Contains(out, c.expect) {
			t.Errorf("%s %s %q: want %q at the end of\n%s", c.m, c.id, c.text, c.expect, out[max(0, len(out)-4096):])
		}
	}
}
