package sim

import (
	"fmt"
	"strings"

	"upgrader.dev/upgrader/engine"
)

// Words for a trace: one line an event or a command, with what is set.

func eventWords(s *script, ev engine.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s", ev.Kind, ev.Now)
	switch ev.Kind {
	case engine.Prepared, engine.Observed, engine.Made, engine.Told, engine.Answered, engine.Unwritten:
		fmt.Fprintf(&b, " %s", s.graph.Nodes[ev.Node].ID)
	case engine.Looked:
		fmt.Fprintf(&b, " %s down %v", s.graph.Groups[ev.Group].ID, ev.Hosts)
	case engine.Began, engine.Stopping, engine.Ticked, engine.Held:
	}
	if ev.Ticket != "" {
		fmt.Fprintf(&b, " %s", ev.Ticket)
	}
	for _, c := range ev.Changes {
		fmt.Fprintf(&b, " [%s %s]", c.Say, c.Of)
	}
	fmt.Fprintf(&b, " %s%s", ev.Fate, ev.Decision.Verdict)
	if ev.Err != nil {
		fmt.Fprintf(&b, " error %+v", *ev.Err)
	}
	return b.String()
}

func commandWords(s *script, c engine.Command) string {
	switch c.Do {
	case engine.Append:
		r := c.Record
		return fmt.Sprintf("append %s %s %s %s %s %s", r.Kind, r.Node, r.State, r.Ticket, r.Say+r.Of, r.Why)
	case engine.Look:
		return fmt.Sprintf("look %s and %v", s.graph.Groups[c.Group].ID, c.Extra)
	case engine.Wake:
		return fmt.Sprintf("wake at %s", c.At)
	case engine.Hold:
		return "hold"
	case engine.Finish:
		return fmt.Sprintf("finish %s %s", c.State, c.Why)
	case engine.Bind, engine.Observe, engine.Make, engine.Settle, engine.Announce, engine.Ask, engine.Unask, engine.Leave:
	}
	return fmt.Sprintf("%s %s %s until %s undo %v in work %v", c.Do, s.graph.Nodes[c.Node].ID, c.Ticket, c.Until, c.Undo, c.InWork)
}
