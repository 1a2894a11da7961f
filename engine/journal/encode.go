package journal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// appendBody appends what encoding/json makes of r, up to its closing brace, byte for byte. A run appends one or more
// records for every effect, so this is done by hand; what is written here in what order, fast reads.
func appendBody(b []byte, r *Record) ([]byte, error) {
	w := writer{b: b}
	w.b = append(w.b, `{"seq":`...)
	w.b = strconv.AppendInt(w.b, r.Seq, 10)
	w.time(`,"time":`, r.Time)
	w.b = append(w.b, `,"kind":`...)
	w.quote(string(r.Kind))
	w.number(`,"from":`, r.From)
	w.number(`,"elapsed":`, int64(r.Elapsed))
	w.number(`,"format":`, int64(r.Format))
	w.text(`,"node":`, r.Node)
	w.text(`,"host":`, r.Host)
	w.text(`,"uses":`, r.Uses)
	w.text(`,"ticket":`, r.Ticket)
	w.text(`,"say":`, r.Say)
	w.text(`,"of":`, r.Of)
	w.text(`,"repeat":`, r.Repeat)
	w.text(`,"state":`, r.State)
	w.text(`,"why":`, r.Why)
	w.number(`,"attempt":`, int64(r.Attempt))
	w.number(`,"epoch":`, r.Epoch)
	w.text(`,"digest":`, r.Digest)
	w.text(`,"group":`, r.Group)
	w.table(`,"facts":`, r.Facts)
	w.table(`,"hosts":`, r.Hosts)
	w.text(`,"who":`, r.Who)
	w.text(`,"by":`, r.By)
	w.text(`,"key":`, r.Key)
	w.text(`,"machine":`, r.Machine)
	w.number(`,"outage":`, int64(r.Outage))
	if !r.Until.IsZero() {
		w.time(`,"until":`, r.Until)
	}
	if r.Late {
		w.b = append(w.b, `,"late":true`...)
	}
	if w.err != nil {
		return b, fmt.Errorf("encoding record %d: %w", r.Seq, w.err)
	}
	return w.b, nil
}

// A writer appends fields that are not empty. Every key comes with all that stands before its value.
type writer struct {
	b   []byte
	err error // the first value that has no JSON: a time outside the years 0 to 9999
}

func (w *writer) number(key string, n int64) {
	if n != 0 {
		w.b = append(w.b, key...)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

func (w *writer) text(key, s string) {
	if s != "" {
		w.b = append(w.b, key...)
		w.quote(s)
	}
}

func (w *writer) time(key string, t time.Time) {
	w.b = append(append(w.b, key...), '"')
	b, err := t.AppendText(w.b)
	if err != nil && w.err == nil {
		w.err = err
		return
	}
	w.b = append(b, '"')
}

func (w *writer) table(key string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	w.b = append(w.b, key...)
	before := byte('{')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.b = append(w.b, before)
		w.quote(k)
		w.b = append(w.b, ':')
		w.quote(m[k])
		before = ','
	}
	w.b = append(w.b, '}')
}

func (w *writer) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			q, _ := json.Marshal(s) // every string has JSON
			w.b = append(w.b, q...)
			return
		}
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, s...)
	w.b = append(w.b, '"')
}
