package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
)

// A jsonView writes every record as a line of JSON to standard output, for it is the result that was asked for. The
// fields are those of the journal; a reader must ignore those it does not know.
type jsonView struct {
	mu   sync.Mutex
	enc  *json.Encoder
	errs io.Writer // for questions and notes: they are for a person
}

func newJSONView(out, errs io.Writer) *jsonView {
	return &jsonView{enc: json.NewEncoder(out), errs: errs}
}

func (v *jsonView) Show(rec journal.Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_ = v.enc.Encode(rec) // a reader that has gone away must not stop an upgrade
}

func (v *jsonView) Ask(question string) func() {
	v.Note(question)
	return func() {}
}

func (v *jsonView) Note(line string) { writeLine(v.errs, printable.Text(line)) }
func (v *jsonView) Close()           {}

// droppedRecords stands in the place of records that a reader was too late for. A reader that needs them has the journal.
func droppedRecords(records int) string {
	return fmt.Sprintf(`{"kind":"dropped","records":%d}`, records)
}
