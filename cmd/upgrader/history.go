package main

import (
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// A history is what earlier processes of a run have recorded: one reading of its journal tells all who have to know.
type history struct {
	past    *engine.Past         // for the runner, which goes on from it
	board   *board               // for those who look
	began   bool                 // a process has taken the run up
	before  engine.Facts         // known when the first of them did
	decided map[string]time.Time // when a person last decided about a node
	hosts   map[string]bool      // on which a step was begun
}

// newHistory is that of a run that has not begun.
func newHistory(g *engine.Graph) *history {
	return &history{past: engine.NewPast(g), board: newBoard(g), decided: map[string]time.Time{}, hosts: map[string]bool{}}
}

// readHistory is what an open journal holds, as it looks to one who goes on with this graph.
func readHistory(file *journal.File, g *engine.Graph) (*history, error) {
	h := newHistory(g)
	if err := beside(file.Scan, h.take); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *history) take(rec *journal.Record) {
	h.past.Take(rec)
	h.board.take(rec)
	switch rec.Kind {
	case journal.Begin:
		if !h.began {
			h.began, h.before = true, rec.Facts
		}
	case journal.Decision:
		h.decided[rec.Node] = rec.Time
	case journal.Start:
		if _, host, found := strings.Cut(rec.Node, "@"); found {
			h.hosts[host] = true
		}
	case journal.Intent:
		h.hosts[rec.Host] = true
	}
}

// beside scans a journal and has take see its records while the next ones are read: each takes about as long as the other.
func beside(scan func(each func(*journal.Record) error) error, take func(*journal.Record)) error {
	const batches, most = 4, 256
	full, free, taken := make(chan []journal.Record, batches), make(chan []journal.Record, batches), make(chan struct{})
	for range batches {
		free <- nil
	}
	go func() {
		defer close(taken)
		for batch := range full {
			for i := range batch {
				take(&batch[i])
			}
			free <- batch[:0]
		}
	}()
	batch := <-free
	err := scan(func(rec *journal.Record) error {
		if batch = append(batch, *rec); len(batch) == most {
			full <- batch
			batch = <-free
		}
		return nil
	})
	full <- batch
	close(full)
	<-taken
	return err
}
