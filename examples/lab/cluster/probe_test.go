//go:build linux

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestProbe proves that a probe over real connections counts what failed, by kind, and goes on until it is told to stop.
func TestProbe(t *testing.T) {
	var asked atomic.Int32
	stop, enough := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n := asked.Add(1); {
		case n == 10:
			enough()
		case n >= 4 && n <= 6:
			http.Error(w, "etcdserver: leader changed", http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	p := &Probe{Targets: []Target{{Name: "api", URL: server.URL}, {Name: "nobody", URL: "http://127.0.0.1:1/"}}, Every: 5 * time.Millisecond, Within: 10 * time.Second}
	r := p.Run(stop)
	api, nobody := r.Targets[0], r.Targets[1]
	if api.Failed != 3 || api.Requests < 10 || api.LongestGap <= 0 || api.WithoutAny < api.LongestGap || api.LongestGap > r.Seconds {
		t.Errorf("got %+v", api)
	}
	if len(api.Errors) != 1 || api.Errors[0].Kind != "HTTP 500" || api.Errors[0].Count != 3 || !strings.Contains(api.Errors[0].First, "leader changed") {
		t.Errorf("got %+v", api.Errors)
	}
	if nobody.Failed != nobody.Requests || nobody.Requests == 0 || nobody.Errors[0].Kind != "refused" || nobody.LongestGap < r.Seconds-0.1 {
		t.Errorf("got %+v of %v s", nobody, r.Seconds)
	}
}

// TestGaps proves the arithmetic of gaps: from the last success before failures to the first one after them, from the
// start and to the end where there is none.
func TestGaps(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for outcome, want := range map[string]struct{ longest, total float64 }{
		"":           {0, 0},
		"++++":       {0, 0},
		"+-+":        {0.2, 0.2},
		"+--+-++":    {0.3, 0.5},
		"--+":        {0.2, 0.2},
		"+--":        {0.3, 0.3}, // to the end, which is when the next one would have been sent
		"----":       {0.4, 0.4},
		"+-+-+-+":    {0.2, 0.6},
		"-+++++++--": {0.3, 0.4},
	} {
		var answers []answer
		for i, c := range outcome {
			a := answer{asked: start.Add(time.Duration(i) * 100 * time.Millisecond)}
			if c == '-' {
				a.err = io.EOF
			}
			answers = append(answers, a)
		}
		got := judge(Target{}, start, start.Add(time.Duration(len(outcome))*100*time.Millisecond), answers)
		if got.LongestGap != want.longest || got.WithoutAny != want.total || got.Failed != strings.Count(outcome, "-") {
			t.Errorf("%q: %+v, want %+v", outcome, got, want)
		}
	}
}

// TestKinds proves that failures are sorted by what they look like to a client.
func TestKinds(t *testing.T) {
	for want, err := range map[string]error{
		"refused": syscall.ECONNREFUSED, "reset": syscall.ECONNRESET, "closed": io.EOF, "timeout": context.DeadlineExceeded,
		"HTTP 503": &statusError{503, ""}, "TLS": errors.New("remote error: tls: internal error"), "other": errors.New("?"),
	} {
		if got := kindOf(err); got != want {
			t.Errorf("%v is %q, not %q", err, got, want)
		}
	}
}

// TestTimeout proves that an answer that does not come is called that, and that a readiness report is quoted where it says
// what is wrong.
func TestTimeout(t *testing.T) {
	hanging := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hanging }))
	defer server.Close()
	defer close(hanging)
	p := &Probe{Within: 10 * time.Millisecond}
	if err := p.get(t.Context(), server.Client(), server.URL); err == nil || kindOf(err) != "timeout" {
		t.Errorf("got %v", err)
	}
	if got := telling("[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\nreadyz check failed\n"); got != "[-]etcd failed: reason withheld" {
		t.Errorf("got %q", got)
	}
}

// TestReport proves the words and the JSON of a report.
func TestReport(t *testing.T) {
	r := Report{Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Seconds: 10.2, Targets: []Judgment{
		{Name: "api-read", URL: "https://10.77.3.1:6443/", Requests: 102, Failed: 4, LongestGap: 0.4, WithoutAny: 0.6, Errors: []Failure{{"HTTP 500", 4, 3.2, "HTTP 500: etcdserver: leader changed"}}},
		{Name: "service", URL: "http://10.77.3.1:8080/", Requests: 3, Failed: 3, LongestGap: 10.2, WithoutAny: 10.2, Errors: []Failure{{"closed", 3, 0, "EOF"}}},
	}}
	var text, machine bytes.Buffer
	r.Text(&text)
	golden(t, "report.txt", text.Bytes())
	if err := r.JSON(&machine); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(machine.Bytes(), &back); err != nil || back.Targets[0].Errors[0] != r.Targets[0].Errors[0] || back.Targets[1].WithoutAny != 10.2 {
		t.Errorf("got %+v, %v", back, err)
	}
	golden(t, "report.json", machine.Bytes())
}

// TestParse proves that what kubeadm and kubectl print is read as they print it.
func TestParse(t *testing.T) {
	j, err := parseJoin("kubeadm join 10.77.3.1:6443 --token abc.def --discovery-token-ca-cert-hash sha256:12 ")
	if err != nil || *j != (joining{Token: "abc.def", CAHash: "sha256:12"}) {
		t.Errorf("got %+v, %v", j, err)
	}
	if _, err := parseJoin("error: no"); err == nil {
		t.Error("no join command was taken for one")
	}
	nodes, err := parseNodes([]byte(`{"items":[
		{"metadata":{"name":"cp1"},"spec":{"unschedulable":true},"status":{"nodeInfo":{"kubeletVersion":"v1.27.3"},"conditions":[{"type":"Ready","status":"True"}]}},
		{"metadata":{"name":"w1"},"spec":{},"status":{"nodeInfo":{"kubeletVersion":"v1.28.15"},"conditions":[{"type":"Ready","status":"Unknown"}]}}]}`))
	if err != nil || nodes["cp1"] != (node{"v1.27.3", "Ready, cordoned"}) || nodes["w1"] != (node{"v1.28.15", "NotReady"}) {
		t.Errorf("got %v, %v", nodes, err)
	}
}
