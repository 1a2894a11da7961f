package remote

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/redact"
)

// waysToSay are the forms in which a host's programs may print a secret.
func waysToSay(secret string) map[string]string {
	inJSON, _ := json.Marshal(secret) // a string always can be
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	every := ""
	for i := range len(secret) {
		every += fmt.Sprintf("%%%02x", secret[i])
	}
	return map[string]string{
		"raw": secret, "trimmed": strings.TrimSpace(secret), "JSON": string(inJSON), "shell": quote(secret),
		"query": url.QueryEscape(secret), "path": url.PathEscape(secret), "every byte": every, "HTML": html.EscapeString(secret),
		"hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"base64": b64(secret), "URL": base64.RawURLEncoding.EncodeToString([]byte(secret)), "Basic": b64("admin:" + secret),
		"Basic 1": b64("admin1:" + secret), "Basic 2": b64("admin12:" + secret), "escaped": printable.Text(secret),
	}
}

// showsA says which form of a secret a text shows: a half of it is enough.
func showsA(text, secret string) string {
	core := strings.TrimSpace(secret)
	for _, part := range []string{core, core[:len(core)/2], core[len(core)/2:]} {
		for name, form := range waysToSay(part) {
			form = strings.Trim(form, `"'=`)
			if strings.HasPrefix(name, "Basic") {
				form = form[4*(len("admin12:")/3+1) : len(form)-4] // without what does not belong to the secret alone
			}
			if strings.Contains(text, form) {
				return name + " form " + form
			}
		}
	}
	return ""
}

// Whatever a program makes of a secret, nothing that comes back shows it, and nothing of it stays on the host.
func TestNoFormOfASecretReachesASink(t *testing.T) {
	const secret = " p'a\"ss <w>&%/+$ \x1b hunter2 "
	ways := waysToSay(secret)
	var lines strings.Builder
	for name, form := range ways {
		fmt.Fprintf(&lines, "%s: %s.\n", name, form)
	}
	s := Script{Secret: map[string]string{"PW": secret}, Env: map[string]string{"FORMS": lines.String()}, Text: `printf %s "$FORMS"; printf %s "$FORMS" >&2; exit 3`}
	var looks atomic.Int32
	clean := func(t *testing.T, sink, text string, all bool) {
		t.Helper()
		looks.Add(1)
		if form := showsA(text, secret); form != "" {
			t.Errorf("%s: %s in %q", sink, form, text)
		}
		for line := range strings.Lines(lines.String()) {
			if name, _, _ := strings.Cut(line, ":"); all && ways[name] != "" && !strings.Contains(text, name+": ") {
				t.Errorf("%s: the line of %s is missing in %q", sink, name, text)
			}
		}
	}
	onEveryDoor(t, func(t *testing.T, r rig) {
		var out, again safeBuffer
		got, err := r.host.Query(t.Context(), s)
		clean(t, "Query", got.Stdout, true)
		clean(t, "Query's error", fmt.Sprint(got.Stderr, err), true)
		got, err = r.host.Run(t.Context(), ticket("t-1", 1, nil), s)
		clean(t, "Run", got.Stdout, true)
		clean(t, "Run's error", fmt.Sprint(got.Stderr, err), true)
		err = r.host.Do(t.Context(), ticket("t-2", 1, &out), Job{Name: "secretive", Script: s})
		clean(t, "Do", fmt.Sprint(err), false)
		clean(t, "the log", out.String(), true)
		clean(t, "the host", everyFile(t, r.state), false)
		next, _ := r.controller(t)
		settled, err := next.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-2", 1, &again))
		clean(t, "Settle", fmt.Sprint(settled.Err, again.String(), err), false)
		if exit, ok := errors.AsType[*ExitError](settled.Err); settled.Fate != engine.Ended || !ok || exit.Code != 3 {
			t.Errorf("Settle = %+v, %v", settled, err)
		}
	})
	t.Logf("figure: %d forms of a secret in %d sinks: none is shown", len(ways), looks.Load())
}

// everyFile is what a directory's files hold.
func everyFile(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.IsDir() {
			return nil // what was removed meanwhile is no matter
		}
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		fmt.Fprintf(&all, "%s: %s\n", filepath.Base(path), data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// The password that sudo was given is a secret of every call, also of one that only follows a job.
func TestTheSudoPasswordDoesNotComeBack(t *testing.T) {
	const password = "right-password"
	t.Setenv("GOOD", password)
	bin := tools(t, map[string]string{"sudo": sudoAsks(password, filepath.Join(t.TempDir(), "log"))})
	d, _ := startSmall(t, bin)
	inv := d.inventory()
	inv.SSH.Sudo = "env:GOOD"
	state := filepath.Join(d.dir, "state")
	controller := func() (*Fleet, Host) {
		f := NewFleet(Config{Inventory: inv, StateDir: state})
		t.Cleanup(func() { _ = f.Close() })
		h, err := f.Host("w1")
		if err != nil {
			t.Fatal(err)
		}
		return f, h
	}
	_, h := controller()
	s := Script{Text: `echo right-"password" | tee /dev/stderr; exit 3`}
	sinks := map[string]string{}
	got, err := h.Query(t.Context(), s)
	sinks["Query"] = fmt.Sprint(got, err)
	got, err = h.Run(t.Context(), ticket("t-1", 1, nil), s)
	sinks["Run"] = fmt.Sprint(got, err)
	var out, again safeBuffer
	next, _ := controller()
	gate := filepath.Join(d.dir, "gate")
	ended := make(chan error, 1)
	go func() {
		ended <- h.Do(t.Context(), ticket("t-2", 1, &out), Job{Name: "x", Script: Script{Text: `echo right-"password"; while [ ! -e "$G" ]; do sleep 0.02; done; exit 3`, Env: map[string]string{"G": gate}}})
	}()
	eventually(t, "it is followed", func() bool { return out.String() != "" })
	settled := make(chan engine.Settlement, 1)
	go func() {
		got, err := next.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-2", 1, &again))
		if err != nil {
			t.Error(err)
		}
		settled <- got
	}()
	eventually(t, "it is followed by two", func() bool { return again.String() != "" })
	write(t, gate, "")
	sinks["Settle"] = fmt.Sprint((<-settled).Err)
	sinks["Do"] = fmt.Sprint(<-ended)
	sinks["log"], sinks["log of Settle"] = out.String(), again.String()
	for sink, text := range sinks {
		if strings.Contains(text, password) || !strings.Contains(text, redact.Stars) {
			t.Errorf("%s: %q", sink, text)
		}
	}
	if left := everyFile(t, state); strings.Contains(left, password) {
		t.Errorf("on the host: %s", left)
	}
}

func TestSecretsDoNotComeBack(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		const secret = "corr+ct/h0rse battery"
		s := Script{Secret: map[string]string{"PW": secret},
			Text: `echo "$PW"; echo "$PW" >&2; printf 'corr+ct/'; sleep 0.1; echo 'h0rse battery'; printf %s "$PW" | base64 2>/dev/null || true; ls /proc/$$/cmdline; tr '\0' ' ' </proc/$$/cmdline; exit 1`}
		leaks := func(where, text string) {
			for _, form := range []string{secret, "h0rse battery", "Y29ycitjdC9oMHJzZSBiYXR0ZXJ5"} {
				if strings.Contains(text, form) {
					t.Errorf("%s shows %q:\n%s", where, form, text)
				}
			}
		}
		got, err := r.host.Query(t.Context(), s)
		leaks("the result", fmt.Sprint(got, err))
		if !strings.Contains(got.Stdout, redact.Stars) {
			t.Errorf("nothing was scrubbed: %q", got.Stdout)
		}
		var out safeBuffer
		err = r.host.Do(t.Context(), ticket("t-1", 1, &out), Job{Name: "secretive", Script: s})
		leaks("the job", fmt.Sprint(out.String(), err))
		var again safeBuffer
		settled, err := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, &again))
		leaks("settling, which does not know the secret,", fmt.Sprint(again.String(), settled.Err, err))
		if left, err := filepath.Glob(filepath.Join(r.state, "jobs/t-1.job*")); err != nil || len(left) > 0 {
			t.Errorf("the job's program with its secret is still on the host: %s, %v", left, err)
		}
	})
}

// The output of a job with secrets that another process settles is neither shown nor left, and its end stays.
func TestTheOutputOfASettledJobGoes(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		gate, _ := r.file("gate")
		ctx, crash := context.WithCancel(t.Context())
		var out, again safeBuffer
		ended := make(chan error, 1)
		go func() {
			ended <- r.host.Do(ctx, ticket("t-1", 1, &out), Job{Name: "x", Script: Script{Secret: map[string]string{"PW": "hunter2secret"}, Env: map[string]string{"G": gate},
				Text: `echo "$PW"; while [ ! -e "$G" ]; do sleep 0.02; done; echo "$PW"; exit 5`}})
		}()
		eventually(t, "it is followed", func() bool { return out.String() != "" })
		crash()
		<-ended
		_ = r.fleet.Close()
		write(t, gate, "")
		for range 2 {
			next, _ := r.controller(t)
			s, err := next.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 2, &again))
			if exit, ok := errors.AsType[*ExitError](s.Err); err != nil || s.Fate != engine.Ended || !ok || exit.Code != 5 {
				t.Errorf("Settle = %+v, %v", s, err)
			}
			if left := everyFile(t, r.state); strings.Contains(left, "hunter2secret") {
				t.Errorf("on the host: %s", left)
			}
		}
		if !strings.Contains(again.String(), "withheld") || strings.Contains(again.String(), "hunter2secret") {
			t.Errorf("shown: %q", again.String())
		}
	})
}

// A copy that nobody asked for again goes with the next job, an hour later.
func TestSecretsOfACopyThatNobodyAsksForGo(t *testing.T) {
	r := atSmall(t)
	if _, err := r.host.Run(t.Context(), ticket("t-0", 1, nil), Script{Text: "true"}); err != nil {
		t.Fatal(err)
	}
	jobs := filepath.Join(r.state, "jobs")
	for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "new": time.Minute} {
		path := filepath.Join(jobs, "t-"+name+".job.secret-m")
		write(t, path, "hunter2secret")
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.host.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "x", Script: Script{Text: "true"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old one is removed", func() bool { _, err := os.Stat(filepath.Join(jobs, "t-old.job.secret-m")); return err != nil })
	if _, err := os.Stat(filepath.Join(jobs, "t-new.job.secret-m")); err != nil {
		t.Errorf("one that may be started any moment: %v", err)
	}
}

// Where the host drops the middle of much output, no half of a secret is left that nobody knows for one.
func TestDroppedOutputShowsNoHalfSecret(t *testing.T) {
	r := atSmall(t)
	secret := strings.Repeat("0123456789", 3000) // longer than the reach of chance
	var out safeBuffer
	err := r.host.Do(t.Context(), ticket("t-1", 1, &out), Job{Name: "x", Script: Script{Secret: map[string]string{"PW": secret},
		Text: `i=0; while [ $i -lt 60 ]; do echo "$PW"; i=$((i+1)); done; sleep 1; echo over`}})
	if err != nil || strings.Contains(out.String(), "0123456789") || !strings.HasSuffix(out.String(), "over\n") {
		t.Errorf("%v, %d bytes: ...%.200q", err, len(out.String()), out.String()[max(0, len(out.String())-200):])
	}
}

// A job with secrets whose shell is killed the moment it has begun leaves none of them behind.
func TestSecretsOfAKilledJobGo(t *testing.T) {
	r := atSmall(t)
	first := filepath.Join(r.dir, "first")
	bin := tools(t, map[string]string{"rm": fmt.Sprintf(`case "$*" in *.job.*) mkdir %s 2>/dev/null && kill -9 $PPID;; esac; exec /bin/rm "$@"`, first)})
	f, h := r.other(t, r.state, bin, "/none")
	err := h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "x", Script: Script{Text: "true", Secret: map[string]string{"PW": "hunter2secret"}}})
	if !isDoubt(err) {
		t.Errorf("Do = %v", err)
	}
	if left := everyFile(t, r.state); strings.Contains(left, "hunter2secret") {
		t.Errorf("on the host: %s", left)
	}
	if s, err := f.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, nil)); err != nil || s.Fate != engine.Cut {
		t.Errorf("Settle = %+v, %v", s, err)
	}
}

// A copy that a controller placed and never came to start goes when the job ends that another one started.
func TestSecretsOfACopyThatWasNeverStartedGo(t *testing.T) {
	r := atSmall(t)
	if _, err := r.host.Run(t.Context(), ticket("t-0", 1, nil), Script{Text: "true"}); err != nil {
		t.Fatal(err)
	}
	job := Job{Name: "x", Script: Script{Text: "echo over", Secret: map[string]string{"PW": "hunter2secret"}}}
	tk := ticket("t-1", 1, nil)
	p, err := testShell(r.state).place(tk, job, "root")
	if err != nil {
		t.Fatal(err)
	}
	program := testShell(r.state).jobProgram("m", launch, tk, p, 0, false)
	placed, _, _ := strings.Cut(program, "printf '%s begin") // the controller is cut off here
	cmd := exec.CommandContext(t.Context(), "sh")
	cmd.Stdin = strings.NewReader(placed + "\n)\n}\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left := everyFile(t, r.state); !strings.Contains(left, "hunter2secret") {
		t.Fatalf("it was not placed: %s", left)
	}
	if err := r.host.Do(t.Context(), tk, job); err != nil {
		t.Errorf("Do = %v", err)
	}
	if left := everyFile(t, r.state); strings.Contains(left, "hunter2secret") {
		t.Errorf("on the host: %s", left)
	}
}

// While a job with secrets runs, no command line shows one, and no environment but the job's own.
func TestNoProcessShowsASecret(t *testing.T) {
	const secret = "hunter2-never-an-argument"
	onEveryDoor(t, func(t *testing.T, r rig) {
		gate, _ := r.file("gate")
		s := Script{Secret: map[string]string{"PW": secret}, Env: map[string]string{"G": gate}, Text: `echo begun; while [ ! -e "$G" ]; do sleep 0.02; done`}
		var out safeBuffer
		ended := make(chan error, 2)
		go func() { ended <- r.host.Do(t.Context(), ticket("t-1", 1, &out), Job{Name: "x", Script: s}) }()
		go func() {
			_, err := r.host.Query(t.Context(), s)
			ended <- err
		}()
		eventually(t, "it runs", func() bool { return out.String() != "" })
		for _, path := range glob(t, "/proc/[0-9]*/cmdline") {
			if data, _ := os.ReadFile(path); bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s: %q", path, data)
			}
		}
		for _, path := range glob(t, "/proc/[0-9]*/environ") {
			data, _ := os.ReadFile(path)
			if exe, _ := os.Readlink(filepath.Join(filepath.Dir(path), "exe")); bytes.Contains(data, []byte(secret)) && !strings.HasSuffix(exe, "/sleep") && !strings.HasSuffix(exe, "/busybox") && !strings.HasSuffix(exe, "/coreutils") {
				t.Errorf("%s of %s shows it", path, exe)
			}
		}
		write(t, gate, "")
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Skipf("there is no %s: %v", pattern, err)
	}
	return paths
}

// A literal where a reference belongs is refused, and not repeated: it is a secret by now.
func TestALiteralIsNotRepeated(t *testing.T) {
	inv := &Inventory{Hosts: []Machine{{Name: "w1", SSH: SSH{Sudo: "hunter2secret"}}}, SSH: SSH{Sudo: "env:"}}
	for name, err := range map[string]error{"CheckSecret": CheckSecret("hunter2secret"), "of another kind": CheckSecret("pass:hunter2secret"), "the inventory": inv.Check()} {
		if err == nil || strings.Contains(err.Error(), "hunter2secret") || !strings.Contains(err.Error(), "env:NAME") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadSecret(t.Context(), "hunter2secret"); err == nil || strings.Contains(err.Error(), "hunter2secret") {
		t.Errorf("ReadSecret: %v", err)
	}
}
