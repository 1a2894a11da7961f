package remote

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/url"
	"slices"
	"strings"
)

const (
	stars = "***"
	// minSecret is the length from which a value is taken out of what comes back. Shorter ones occur by chance in every
	// output, and are no secrets.
	minSecret = 4
)

// A scrubber replaces secret values, and their base64 and URL forms, by three stars. The zero scrubber replaces nothing.
type scrubber struct{ forms []string } // longest first

func newScrubber(values ...string) scrubber {
	var s scrubber
	for _, v := range values {
		if len(v) < minSecret {
			continue
		}
		raw := []byte(v)
		s.forms = append(s.forms, v, url.QueryEscape(v), url.PathEscape(v), base64.StdEncoding.EncodeToString(raw),
			base64.RawStdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw))
		if t := strings.TrimSpace(v); len(t) >= minSecret {
			s.forms = append(s.forms, t)
		}
	}
	slices.SortFunc(s.forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	s.forms = slices.Compact(s.forms)
	return s
}

func (s scrubber) text(t string) string {
	for _, f := range s.forms {
		t = strings.ReplaceAll(t, f, stars)
	}
	return t
}

// writer scrubs a stream. It holds back only what may be the beginning of a secret, until flush.
func (s scrubber) writer(to io.Writer) *scrubWriter { return &scrubWriter{s: s, to: to} }

type scrubWriter struct {
	s    scrubber
	to   io.Writer
	held []byte
}

func (w *scrubWriter) Write(p []byte) (int, error) {
	if len(w.s.forms) == 0 {
		return w.to.Write(p)
	}
	w.held = append(w.held, p...)
	for _, f := range w.s.forms {
		w.held = bytes.ReplaceAll(w.held, []byte(f), []byte(stars))
	}
	cut := len(w.held) - w.suspicious()
	_, err := w.to.Write(w.held[:cut])
	w.held = append(w.held[:0], w.held[cut:]...)
	return len(p), err
}

// suspicious returns the length of the longest end of held that begins a secret.
func (w *scrubWriter) suspicious() int {
	longest := 0
	for _, f := range w.s.forms {
		for n := min(len(f)-1, len(w.held)); n > longest; n-- {
			if string(w.held[len(w.held)-n:]) == f[:n] {
				longest = n
			}
		}
	}
	return longest
}

func (w *scrubWriter) flush() error {
	_, err := w.to.Write(w.held)
	w.held = nil
	return err
}
