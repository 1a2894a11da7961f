package etcd

import (
	"fmt"
	"strings"

	"upgrader.dev/upgrader/engine/printable"
)

// A report is what etcd said of itself, as etcdctl 3.4 to 3.6 print it. What a member did not answer is missing.
type report struct {
	kind    string // stacked, external, none
	members []member
	health  []health
	status  []status
	alarms  []string // "memberID:1 alarm:NOSPACE"
}

type member struct {
	ID         uint64   `json:"ID"`
	Name       string   `json:"name"` // empty until it has started
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner"`
}

// called is the member's name, or its ID as etcdctl writes it.
func (m member) called() string {
	if m.Name != "" {
		return m.Name
	}
	return fmt.Sprintf("%x", m.ID)
}

type health struct {
	Endpoint string `json:"endpoint"`
	Health   bool   `json:"health"`
	Error    string `json:"error"`
}

type status struct {
	Endpoint string `json:"Endpoint"`
	Status   struct {
		Header struct {
			MemberID uint64 `json:"member_id"`
		} `json:"header"`
		Version          string   `json:"version"`
		Leader           uint64   `json:"leader"`
		RaftTerm         uint64   `json:"raftTerm"`
		RaftIndex        uint64   `json:"raftIndex"`
		RaftAppliedIndex uint64   `json:"raftAppliedIndex"`
		IsLearner        bool     `json:"isLearner"`
		DBSize           int64    `json:"dbSize"`
		DBSizeInUse      int64    `json:"dbSizeInUse"`
		DBSizeQuota      int64    `json:"dbSizeQuota"` // told from 3.6 on
		Errors           []string `json:"errors"`
	} `json:"Status"`
}

// mostMembers is more than any etcd has: its documents advise against more than seven.
const mostMembers = 100

// read takes the output of health.sh apart: sections that begin with "== name".
func read(stdout string) (report, error) {
	parts := sections(stdout)
	r := report{kind: strings.TrimSpace(parts["kind"])}
	if r.kind == "" {
		return r, fmt.Errorf("the answer does not begin as it should: %.100q", stdout)
	}
	var list struct {
		Members []member `json:"members"`
	}
	for _, section := range []struct {
		name string
		into any
	}{{"members", &list}, {"health", &r.health}, {"status", &r.status}} {
		if text := strings.TrimSpace(parts[section.name]); text != "" {
			if err := printable.JSON([]byte(text), section.into); err != nil {
				return r, fmt.Errorf("%s: %w in %.200q", section.name, err, text)
			}
		}
	}
	r.members = list.Members
	if most := max(len(r.members), len(r.health), len(r.status)); most > mostMembers {
		return r, fmt.Errorf("the answer tells of %d members, which no etcd has", most)
	}
	for line := range strings.Lines(parts["alarms"]) {
		if line = strings.TrimSpace(line); line != "" {
			r.alarms = append(r.alarms, printable.Cut(line, printable.Message))
		}
	}
	return r, nil
}

// sections takes a text apart by its heads. A section that comes twice goes on.
func sections(text string) map[string]string {
	parts := map[string]*strings.Builder{}
	now := &strings.Builder{}
	for line := range strings.Lines(text) {
		head, ok := strings.CutPrefix(line, "== ")
		if !ok {
			now.WriteString(line)
			continue
		}
		name := strings.TrimSpace(head)
		if now = parts[name]; now == nil {
			now = &strings.Builder{}
			parts[name] = now
		}
	}
	whole := map[string]string{}
	for name, part := range parts {
		whole[name] = part.String()
	}
	return whole
}
