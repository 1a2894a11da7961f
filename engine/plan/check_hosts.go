package plan

import (
	"errors"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// hostArgs checks the patterns given to hosts() as far as they can be.
func (s *session) hostArgs(e *expression) {
	for _, a := range e.args {
		t, err := parseTerm(a.text)
		if err != nil {
			s.faults.Add(e.at(a.offset), patternHelp, "%s", err)
			continue
		}
		s.hostName(t, func() document.Pos { return e.at(a.offset) })
	}
}

// pattern checks a host pattern as far as the hosts are known.
func (s *session) pattern(p *pattern) {
	for i, t := range p.terms {
		s.hostName(t, func() document.Pos { return p.texts[i].Pos })
	}
}

// hostName checks one term. Offline the groups of the inventory are not known; but a word that is nearly one of those
// that every inventory has is a typing mistake.
func (s *session) hostName(t term, at func() document.Pos) {
	if s.hosts != nil {
		if _, err := s.hosts.selectTerm(t); err != nil {
			s.noHosts(at(), err)
		}
		return
	}
	wellKnown := []string{engine.AllHosts, engine.ControlPlane, engine.Workers}
	if len(t.name) < 5 || strings.ContainsAny(t.name, "0123456789") || slices.Contains(wellKnown, t.name) {
		return
	}
	if near, ok := document.Nearest(t.name, wellKnown); ok && near != engine.AllHosts {
		s.faults.Add(at(), document.Suggest(t.name, wellKnown), "%q is no group that every inventory has", t.name)
	}
}

// noHosts reports a term that selects nothing. Names that do not exist are faults of one kind.
func (s *session) noHosts(at document.Pos, err error) {
	no, ok := errors.AsType[*noHosts](err)
	switch {
	case !ok:
		s.faults.Add(at, "", "%s", err)
	case no.name == "":
		s.faults.Add(at, no.hint, "%s", err)
	case s.faults.Full():
		s.faults.Add(at, "", unknownHosts, no.name)
	default:
		s.faults.Add(at, document.Suggest(no.name, s.hosts.words()), unknownHosts, no.name)
	}
}
