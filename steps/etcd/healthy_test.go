package etcd

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

// said is the output of health.sh for three members, as etcdctl 3.5 prints it, with what a test changes in it.
func said(replace ...string) string {
	var members, health, status []string
	for i := 1; i <= 3; i++ {
		members = append(members, fmt.Sprintf(`{"ID":18446744073709551%d00,"name":"cp%d","peerURLs":["https://10.0.0.%d:2380"],"clientURLs":["https://10.0.0.%d:2379"]}`, i, i, i, i))
		health = append(health, fmt.Sprintf(`{"endpoint":"https://10.0.0.%d:2379","health":true,"took":"4ms"}`, i))
		status = append(status, fmt.Sprintf(`{"Endpoint":"https://10.0.0.%d:2379","Status":{"header":{"cluster_id":1,"member_id":18446744073709551%d00,"revision":70%d,"raft_term":3},`+
			`"version":"3.5.15","dbSize":20480,"leader":18446744073709551200,"raftIndex":90%d,"raftTerm":3,"raftAppliedIndex":90%d,"dbSizeInUse":16384}}`, i, i, i, i, i))
	}
	text := "== kind\nstacked\n== members\n|{\"header\":{\"cluster_id\":1},\"members\":[" + strings.Join(members, ",") + "]}\n== health\n|[" +
		strings.Join(health, ",") + "]\n== status\n|[" + strings.Join(status, ",") + "]\n== alarms\n"
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			panic("the test replaces nothing: " + replace[i])
		}
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	return text
}

// asked is what a host says to the question about etcd: on both outputs, and its exit status.
func asked(stdout, stderr string, code int) func(remote.Script) (remote.Result, error) {
	const head = "== question etcd\n"
	return answers(head+stdout+fmt.Sprintf("== answered %d\n", code), head+stderr)
}

func TestHealthyOpensOnlyWhenAllMembersAgree(t *testing.T) {
	for name, tt := range map[string]struct {
		stdout  string
		waits   string // words of a NotYet
		refuses string // words of a refusal
	}{
		"all well":             {stdout: said()},
		"next minor begun":     {stdout: said(`"version":"3.5.15"`, `"version":"3.6.6"`)},
		"slightly behind":      {stdout: said(`"raftAppliedIndex":901`, `"raftAppliedIndex":880`)},
		"external":             {stdout: said("stacked", "external")},
		"one does not answer":  {stdout: said(`{"endpoint":"https://10.0.0.3:2379","health":true,"took":"4ms"}`, `{"endpoint":"https://10.0.0.3:2379","health":false,"took":"5s","error":"context deadline exceeded"}`), waits: "member cp3 is unhealthy: context deadline exceeded"},
		"one not started":      {stdout: said(`"name":"cp2"`, `"name":""`), waits: "has not started"},
		"no leader":            {stdout: said(`"leader":18446744073709551200`, `"leader":0`), waits: "a member knows no leader"},
		"two leaders":          {stdout: said(`"leader":18446744073709551200`, `"leader":18446744073709551300`), waits: "different leaders"},
		"an election":          {stdout: said(`"raftTerm":3`, `"raftTerm":4`), waits: "an election is going on"},
		"far behind":           {stdout: said(`"raftIndex":902`, `"raftIndex":6902`), waits: "member cp1 is 6001 entries behind"},
		"an error in a status": {stdout: said(`"dbSizeInUse":16384`, `"dbSizeInUse":16384,"errors":["etcdserver: no leader"]`), waits: "member cp1 reports etcdserver: no leader"},
		"nobody answers":       {stdout: "== kind\nstacked\n== members\n", waits: "etcd does not answer on cp1: the last complaint"},
		"a learner":            {stdout: said(`"clientURLs":["https://10.0.0.2:2379"]`, `"clientURLs":["https://10.0.0.2:2379"],"isLearner":true`), refuses: "member cp2 of etcd is a learner"},
		"full":                 {stdout: said() + "|memberID:18446744073709551300 alarm:NOSPACE\n", refuses: "alarm:NOSPACE (cp3)"},
		"damaged":              {stdout: said() + "|memberID:18446744073709551100 alarm:CORRUPT\n", refuses: "find the cause and mend the member"},
		"two minors apart":     {stdout: said(`"version":"3.5.15"`, `"version":"3.3.10"`), refuses: "cp1 runs 3.3.10"},
		"two majors":           {stdout: said(`"version":"3.5.15"`, `"version":"4.5.0"`), refuses: "do not go together"},
		"a worker":             {stdout: "== kind\nnone\n", refuses: "cp1 runs neither etcd nor an API server"},
	} {
		t.Run(name, func(t *testing.T) {
			host := &remotetest.Host{Answer: asked(tt.stdout, "noise\nthe last complaint\n", 0)}
			step := &Healthy{hosts: remotetest.One("cp1", host)}
			changes, err := step.Observe(t.Context(), engine.Scene{Target: engine.Target{Name: "cp1"}})
			if len(changes) > 0 {
				t.Error("a gate changes nothing")
			}
			enginetest.Expect(t, err, tt.waits, tt.refuses)
		})
	}
}

func TestHealthyWaitsWhileTheHostCannotAskAndPassesTransientFailuresOn(t *testing.T) {
	scene := engine.Scene{Target: engine.Target{Name: "cp1"}}
	step := &Healthy{hosts: remotetest.One("cp1", &remotetest.Host{Answer: asked("", "no etcdctl in /bin and no running etcd container\n", 3)})}
	_, err := step.Observe(t.Context(), scene)
	enginetest.Expect(t, err, "no running etcd container", "")

	step = &Healthy{hosts: remotetest.One("cp1", &remotetest.Host{Answer: fails(engine.Transient(errors.New("connection reset")))})}
	_, err = step.Observe(t.Context(), scene)
	if _, ok := errors.AsType[*engine.TransientError](err); !ok {
		t.Errorf("a lost connection must stay transient, got %v", err)
	}

	step = &Healthy{hosts: remotetest.One("cp1", &remotetest.Host{Answer: asked(said(`"members":[`, `"members":{`), "", 0)})}
	if _, err = step.Observe(t.Context(), scene); err == nil || !strings.Contains(err.Error(), "reading what etcdctl said on cp1") {
		t.Errorf("an answer that cannot be read must not open the gate, got %v", err)
	}
}

// A break starts the time anew: a member that its kubelet restarts a moment later is not taken for a healthy one.
func TestHealthyForAWhile(t *testing.T) {
	stdout := said()
	host := &remotetest.Host{Answer: func(remote.Script) (remote.Result, error) { return asked(stdout, "", 0)(remote.Script{}) }}
	h := &Healthy{hosts: remotetest.One("cp1", host), StableFor: 10 * time.Second}
	begin := time.Now()
	for _, look := range []struct {
		after time.Duration
		well  bool
		waits string
	}{
		{0, true, "healthy, but not for 10s yet"},
		{2 * time.Second, false, "an election is going on"},
		{4 * time.Second, true, "healthy, but not for 10s yet"},
		{13 * time.Second, true, "healthy, but not for 10s yet"},
		{14 * time.Second, true, ""},
	} {
		if stdout = said(); !look.well {
			stdout = said(`"raftTerm":3`, `"raftTerm":4`)
		}
		_, err := h.Observe(t.Context(), engine.Scene{Target: engine.Target{Name: "cp1"}, Now: begin.Add(look.after)})
		if (err != nil) != (look.waits != "") || err != nil && !strings.Contains(err.Error(), look.waits) {
			t.Errorf("after %s: %v, want %q", look.after, err, look.waits)
		}
	}
}

// Of what several hosts tell, the report of one to which etcd is well counts, and else the one that tells most.
func TestTheBestReport(t *testing.T) {
	report := func(code int, stdout string) *Report {
		a := inquiry.Answer{Sections: inquiry.Read(stdout, "").Base, Code: code}
		r, err := Read("cp1", map[string]inquiry.Answer{Question().Name: a})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	mute, worker, ill, well := report(3, ""), report(0, "== kind\nnone\n"), report(0, said(`"raftTerm":3`, `"raftTerm":4`)), report(0, said())
	for name, c := range map[string]struct {
		all  []*Report
		want *Report
	}{
		"nobody tells":      {nil, nil},
		"one is well":       {[]*Report{mute, ill, well, ill}, well},
		"one tells more":    {[]*Report{mute, worker, ill, mute}, ill},
		"nobody tells much": {[]*Report{mute, worker}, mute},
	} {
		if got := Best(c.all); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if mute.Trouble() == nil || !strings.Contains(mute.Trouble().Error(), "exit status 3") {
		t.Errorf("a host without words: %v", mute.Trouble())
	}
	if _, err := Read("cp1", nil); err == nil {
		t.Error("a host that was not asked has a report")
	}
}
