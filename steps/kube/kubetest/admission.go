package kubetest

import (
	"net/http"
	"strings"
	"time"
)

// An Admission is what admission makes of a write.
type Admission struct {
	Takes   time.Duration // before it answers
	Code    int           // of a refusal; 0: the write is let through
	Reason  string
	Message string // as the API server words it
}

// longestWrite is how long the API server sees a write through (k8s.io/apiserver: pkg/endpoints/handlers/rest.go,
// requestTimeoutUpperBound).
const longestWrite = 34 * time.Second

// Admit asks f about each write from now on but those of leases: where these are held up, no cluster works. One that is given
// up, by its client or by the server when its own `timeout` or the server's is over, is not done. nil ends it.
func (s *Server) Admit(f func(r *http.Request) Admission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admission = f
}

// admitted says whether a write is let through, and otherwise what it is answered.
func (s *Server) admitted(r *http.Request) (refused *answer, err error) {
	s.mu.Lock()
	ask := s.admission
	s.mu.Unlock()
	if ask == nil || r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, reviews) || strings.Contains(r.URL.Path, "/leases") {
		return nil, nil
	}
	limit := longestWrite
	if own, err := time.ParseDuration(r.URL.Query().Get("timeout")); err == nil {
		limit = min(limit, own)
	}
	a := ask(r)
	select {
	case <-time.After(min(a.Takes, limit)):
	case <-r.Context().Done():
		return nil, r.Context().Err() // as net/http has it over HTTP/2
	}
	switch {
	case a.Takes > limit:
		a = Admission{Code: http.StatusGatewayTimeout, Reason: "Timeout", Message: "Timeout: request did not complete within requested timeout - context deadline exceeded"}
	case a.Code == 0:
		return nil, nil
	}
	refusal := failure(a.Code, a.Reason, a.Message)
	return &refusal, nil
}
