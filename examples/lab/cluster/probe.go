//go:build linux

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// probeEvery is how often each target is asked, whether or not it has answered yet.
	probeEvery = 100 * time.Millisecond
	// probeWithin is how long an answer may take. It is twice what the balancer may need to find out that one backend has
	// just lost its power: whoever is passed on to the next one has been served.
	probeWithin = 2 * connectWithin
)

// A Target is a URL that a probe asks for. Any answer but 200 is a failure.
type Target struct {
	Name string
	URL  string
	TLS  *tls.Config // of https
}

// A Probe asks targets for as long as it runs, every request over a connection of its own, as new clients do.
type Probe struct {
	Targets []Target
	Every   time.Duration // between the requests to one target
	Within  time.Duration // that an answer may take
}

// Probe is that of the lab: whether the API server says it is ready, a read that takes etcd, and the workload's service,
// all through the balancers.
func (l *Lab) Probe(ctx context.Context) (*Probe, error) {
	api, config, err := l.access(ctx)
	if err != nil {
		return nil, err
	}
	return &Probe{Every: probeEvery, Within: probeWithin, Targets: []Target{
		{Name: "api-ready", URL: api + "/readyz", TLS: config},
		{Name: "api-read", URL: api + "/api/v1/namespaces/default", TLS: config},
		{Name: "service", URL: "http://" + l.at(servicePort) + "/"},
	}}, nil
}

// Run asks until the context ends, waits for the answers that are still due and reports on all of them.
func (p *Probe) Run(ctx context.Context) Report {
	r := Report{Start: time.Now()}
	answers := make([][]answer, len(p.Targets))
	var all sync.WaitGroup
	for i, t := range p.Targets {
		all.Go(func() { answers[i] = p.ask(ctx, t) })
	}
	all.Wait()
	end := time.Now()
	r.Seconds = seconds(end.Sub(r.Start))
	for i, t := range p.Targets {
		r.Targets = append(r.Targets, judge(t, r.Start, end, answers[i]))
	}
	return r
}

// An answer is how one request ended.
type answer struct {
	asked time.Time
	err   error
}

// ask asks one target. The answers are in the order in which they were asked for.
func (p *Probe) ask(ctx context.Context, t Target) []answer {
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: t.TLS, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var answers []*answer
	var due sync.WaitGroup
	ticker := time.NewTicker(p.Every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		a := &answer{asked: time.Now()}
		answers = append(answers, a)
		due.Go(func() { a.err = p.get(context.WithoutCancel(ctx), client, t.URL) })
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	due.Wait()
	got := make([]answer, len(answers))
	for i, a := range answers {
		got[i] = *a
	}
	return got
}

func (p *Probe) get(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.Within, fmt.Errorf("no answer within %s: %w", p.Within, context.DeadlineExceeded))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return &statusError{response.StatusCode, telling(string(body))}
	}
	return nil
}

// telling is the line that says why: of a readiness report the first check that failed, otherwise the last line.
func telling(body string) string {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "[-]") {
			return strings.TrimSpace(line)
		}
	}
	return lastLines(body, 1)
}

// A statusError is an answer that is not 200.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("HTTP %d: %.200s", e.code, e.text) }

// kindOf sorts failures by what they look like to a client.
func kindOf(err error) string {
	if s, ok := errors.AsType[*statusError](err); ok {
		return fmt.Sprintf("HTTP %d", s.code)
	}
	if n, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout() {
		return "timeout"
	}
	for kind, match := range map[string]error{"refused": syscall.ECONNREFUSED, "reset": syscall.ECONNRESET, "closed": io.EOF, "cut short": io.ErrUnexpectedEOF} {
		if errors.Is(err, match) {
			return kind
		}
	}
	if strings.Contains(err.Error(), "server closed idle connection") { // how net/http may word it
		return "closed"
	}
	if strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: ") {
		return "TLS"
	}
	return "other"
}
