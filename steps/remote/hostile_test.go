package remote

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
)

// says is a script that prints a text, byte for byte, on both outputs.
func says(text string) Script {
	return Script{Text: `printf '%s' "$SAID"; printf '%s' "$SAID" >&2`, Env: map[string]string{"SAID": strings.ReplaceAll(text, "\x00", "")}}
}

func clean(t *testing.T, what, text string, most int) {
	t.Helper()
	if found, bad := hostile.Obeyed(text); bad || len(text) > most {
		t.Errorf("%s: %s came through in %d bytes: %.60q", what, found, len(text), text)
	}
}

// Whatever a host's programs print, in a query, a command or a job, well or not: nothing of it comes out as it was, but
// in the log, which holds the evidence byte for byte.
func TestNothingOfAHostComesRaw(t *testing.T) {
	d, _ := startSmall(t, "")
	inv := d.inventory()
	inv.SSH.Sudo = "never"
	f := NewFleet(Config{Inventory: inv, StateDir: filepath.Join(t.TempDir(), "state")})
	defer f.Close()
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{hostile.Text(), strings.Repeat("\u202e", 30<<10), strings.Repeat("\u202e\n", 8<<10)} {
		text = strings.ReplaceAll(text, "\x00", "")
		good, bad := says(text), says(text)
		bad.Text += "; exit 3"
		for _, script := range []Script{good, bad} {
			said, err := h.Query(t.Context(), script)
			ran, runErr := h.Run(t.Context(), ticket(fmt.Sprint("r-", i), 1, nil), script)
			for _, text := range []string{said.Stdout, said.Stderr, ran.Stdout, ran.Stderr} {
				clean(t, "an answer", text, 8*len(script.Env["SAID"]))
			}
			for _, err := range []error{err, runErr} {
				if script.Text == bad.Text {
					clean(t, "an error", err.Error(), printable.Message)
				}
			}
		}
		var log safeBuffer
		err := h.Do(t.Context(), ticket(fmt.Sprint("j-", i), 1, &log), Job{Name: "says", Script: bad})
		if err == nil || !strings.Contains(log.String(), text) {
			t.Errorf("the log lacks what was said, %v", err)
			continue
		}
		clean(t, "a job's error", err.Error(), printable.Message)
		fate, err := f.Settle(t.Context(), engine.Target{Name: "w1"}, ticket(fmt.Sprint("j-", i), 1, nil))
		if err != nil || fate.Err == nil {
			t.Fatal(fate, err)
		}
		clean(t, "a settled job's error", fate.Err.Error(), printable.Message)
	}
}

// What answers at the port may be no SSH server at all, and its greeting ends up in an error.
func TestAGreetingIsNotShownRaw(t *testing.T) {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	go func() {
		for {
			conn, err := listen.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("SSH-1.0-" + hostile.Text() + "\r\n"))
			_ = conn.Close()
		}
	}()
	d, _ := startSmall(t, "")
	d.addr = listen.Addr().String()
	inv := d.inventory()
	inv.SSH.ConnectTimeout = time.Second
	f := NewFleet(Config{Inventory: inv})
	defer f.Close()
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Query(t.Context(), Script{Text: "true"})
	if err == nil {
		t.Fatal("no error")
	}
	clean(t, "a greeting", err.Error(), printable.Message)
}
