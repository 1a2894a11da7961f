package main

import (
	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/steps/redact"
)

// A discreetLog leaves what looks like a secret out of the words of a record, whoever they came from: a journal is read,
// copied and sent around. Facts stay what they are: steps go on with them.
type discreetLog struct{ engine.Log }

func (l discreetLog) Append(records ...journal.Record) error {
	for i := range records {
		r := &records[i]
		r.Say, r.Why = redact.Likely(r.Say), redact.Likely(r.Why)
		for host, why := range r.Hosts {
			if clean := redact.Likely(why); clean != why {
				r.Hosts[host] = clean
			}
		}
	}
	return l.Log.Append(records...)
}
