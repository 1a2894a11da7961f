package etcd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/inquiry"
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

// read takes in what health.sh said.
func read(said []inquiry.Section) (report, error) {
	var r report
	var list struct {
		Members []member `json:"members"`
	}
	into := map[string]any{"members": &list, "health": &r.health, "status": &r.status}
	for _, s := range said {
		switch {
		case s.Name == "kind" && len(s.Answers) == 1:
			r.kind = s.Answers[0]
		case s.Name == "alarms":
			r.alarms = slices.DeleteFunc(s.Lines(), func(line string) bool { return strings.TrimSpace(line) == "" })
		case into[s.Name] != nil && strings.TrimSpace(s.Text) != "":
			if err := printable.JSON([]byte(s.Text), into[s.Name]); err != nil {
				return r, fmt.Errorf("%s: %w in %.200q", s.Name, err, s.Text)
			}
		}
	}
	if r.kind == "" {
		return r, errors.New("the answer does not say whether this host runs etcd")
	}
	r.members = list.Members
	if most := max(len(r.members), len(r.health), len(r.status)); most > mostMembers {
		return r, fmt.Errorf("the answer tells of %d members, which no etcd has", most)
	}
	return r, nil
}

// raw is what etcdctl said, all of it.
func raw(said []inquiry.Section) string {
	var all strings.Builder
	for _, s := range said {
		all.WriteString(s.Text)
	}
	return all.String()
}
