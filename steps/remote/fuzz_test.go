package remote

import (
	"bytes"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/printable/hostile"
)

// inPieces hands a text on in pieces of one size, as a connection does.
func inPieces(text []byte, size int, take func([]byte)) {
	size = max(size%200, 1)
	for rest := text; len(rest) > 0; rest = rest[min(size, len(rest)):] {
		take(rest[:min(size, len(rest))])
	}
}

// FuzzFollower proves that a job's output does not depend on the pieces that it comes in, and that nothing in it breaks who
// follows it.
func FuzzFollower(f *testing.F) {
	f.Add([]byte("\nU1 claimed\n\nU1 at 0\nhello\nU1 end rc 0\n"), 3)
	f.Add([]byte("\nU1 at 99999999999999999999\n\nU1 at\n\nU1 \n\nU1 unstarted\n\nU1 withheld\n"), 1)
	f.Add([]byte("\nU1 at 5\n\nU1 \nU1 x\n\nU"), 2)
	f.Fuzz(func(t *testing.T, sent []byte, size int) {
		hear := func(size int) (string, string) {
			var out bytes.Buffer
			w := &follower{out: &out}
			session := w.session("U1")
			inPieces(sent, size, func(p []byte) { _, _ = session.Write(p) })
			end, _, _ := w.state()
			return out.String(), end
		}
		whole, end := hear(199)
		if pieces, pieceEnd := hear(size); whole != pieces || end != pieceEnd {
			t.Errorf("whole %q %q, in pieces %q %q", whole, end, pieces, pieceEnd)
		}
	})
}

// FuzzFrame proves that a program's output comes through whole up to the shell's word, whatever the pieces.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("hello\nU1 done 0\n"), 1)
	f.Add([]byte("U1 donU1 done x"), 2)
	f.Fuzz(func(t *testing.T, sent []byte, size int) {
		var out bytes.Buffer
		frame := newFrame("U1", &out)
		inPieces(sent, size, func(p []byte) { _, _ = frame.Write(p) })
		before, _, ended := bytes.Cut(sent, []byte("U1 done"))
		if ended && out.String() != string(before) {
			t.Errorf("%q of %q", out.String(), sent)
		}
		if _, err := frame.status(); frame.over() && err == nil && !ended {
			t.Error("a status that was not sent")
		}
	})
}

// FuzzPreamble proves that what a login prints breaks nothing, and that it ends where the text begins.
func FuzzPreamble(f *testing.F) {
	f.Add([]byte("banner\nS1-ready\nU1 begin\nhello"), 2)
	f.Add([]byte("S1-passwordS1-passwordS1-passwordS1-passwordS1-password"), 1)
	f.Fuzz(func(t *testing.T, sent []byte, size int) {
		var out bytes.Buffer
		p := newPreamble("U1", "S1", &out)
		inPieces(sent, size, func(b []byte) { _, _ = p.Write(b) })
		_, after, began := bytes.Cut(sent, []byte("U1 begin\n"))
		if began != p.hasBegun() || began && out.String() != string(after) {
			t.Errorf("%q of %q", out.String(), sent)
		}
	})
}

// FuzzLastLines proves that an error is brief and clean whatever a command put out.
func FuzzLastLines(f *testing.F) {
	f.Add("0%\r50%\r100%\r\n")
	f.Add(hostile.Text())
	f.Fuzz(func(t *testing.T, text string) {
		got := LastLines(text)
		if what, found := hostile.Obeyed(got); found || len(got) > tailBytes || strings.Count(got, "\n") >= tailLines {
			t.Errorf("%s in %d bytes: %q", what, len(got), got)
		}
	})
}

// FuzzKnownHosts proves that no line of known_hosts ends the program: what cannot be read is left out.
func FuzzKnownHosts(f *testing.F) {
	f.Add([]byte("w1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9tZXRoaW5n\n# x\n@revoked * ssh-rsa AAAA\n"))
	f.Add([]byte("|1|x|y ssh-ed25519 \n\x00\n@cert-authority"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bad := badLines(data); len(bad) > bytes.Count(data, []byte("\n"))+1 {
			t.Error(bad)
		}
	})
}

// FuzzSSHConfig proves that no answer of ssh -G breaks who reads it.
func FuzzSSHConfig(f *testing.F) {
	f.Add("hostname 10.0.0.1\nport 22\nproxyjump a,b:2222\nidentityfile ~/.ssh/id\nuserknownhostsfile \"a b\" c\nidentityagent $X\n")
	f.Add("port x\n\nidentityfile\nidentityagent\nuserknownhostsfile \"\n")
	f.Fuzz(func(t *testing.T, answer string) {
		e, err := defaultEndpoint("w1", "w1")
		if err != nil {
			t.Skip(err)
		}
		if e.read(answer) == nil {
			_, _ = parseJumps(e.proxyJump)
		}
	})
}

// FuzzStamp proves that no time that systemctl prints breaks who reads it.
func FuzzStamp(f *testing.F) {
	f.Add("Fri 2026-11-20 12:00:00 UTC")
	f.Add("n/a")
	f.Fuzz(func(t *testing.T, text string) { _, _ = ParseStamp(text) })
}

func TestReadingAStreamCostsInProportion(t *testing.T) {
	for name, read := range map[string]func(text string){
		"a follower": func(text string) {
			session := (&follower{out: &strings.Builder{}}).session("U1")
			inPieces([]byte("\nU1 at 0\n"+text), 100, func(p []byte) { _, _ = session.Write(p) })
		},
		"a frame": func(text string) {
			frame := newFrame("U1", &strings.Builder{})
			inPieces([]byte(text), 100, func(p []byte) { _, _ = frame.Write(p) })
		},
		"known hosts": func(text string) { badLines([]byte(text)) },
		"last lines":  func(text string) { LastLines(text) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, line := range []string{"hello\n", "\nU1 x\n", "U1 don"} {
				hostile.InProportion(t, line, read)
			}
		})
	}
}
