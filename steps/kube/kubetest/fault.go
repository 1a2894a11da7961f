package kubetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// A Fault is a way for one request to go wrong.
type Fault string

// The faults. Those that lose the answer have done the deed.
const (
	None        Fault = ""
	Refused     Fault = "connection refused"         // nothing was done
	Reset       Fault = "connection reset, not done" // before the request was handled
	Lost        Fault = "connection reset, done"     // after it was handled: the answer is lost
	Broken      Fault = "500, not done"              // etcdserver: leader changed
	BrokenDone  Fault = "500, done"                  // timed out in etcd, and yet committed
	Unavailable Fault = "503"
	TooMany     Fault = "429 with Retry-After"
	Expired     Fault = "410" // for the next page of a list; other requests are answered
	Conflict    Fault = "409" // for writes; reads are answered
)

// Faults lists every fault, for tests that go through them all.
func Faults() []Fault {
	return []Fault{Refused, Reset, Lost, Broken, BrokenDone, Unavailable, TooMany, Conflict}
}

// Fail asks f, for each request from now on (n counts from 0), how it goes wrong. nil ends it.
func (s *Server) Fail(f func(n int, r *http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == nil {
		s.fault = nil
		return
	}
	first := len(s.requests)
	s.fault = func(n int, r *http.Request) Fault { return f(n-first, r) }
}

// RoundTrip answers one request, or fails it as Fail has it.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := decode(r)
	if err != nil {
		return nil, fmt.Errorf("kubetest: the request's body: %w", err)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	switch fault := s.note(r); {
	case fault == Refused:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case fault == Reset:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	case fault == Broken:
		return respond(r, failure(http.StatusInternalServerError, "", "etcdserver: leader changed")), nil
	case fault == Unavailable:
		return respond(r, failure(http.StatusServiceUnavailable, "ServiceUnavailable", "the server is currently unable to handle the request")), nil
	case fault == TooMany:
		a := failure(http.StatusTooManyRequests, "TooManyRequests", "too many requests, please try again later")
		a.retryAfter = 1
		return respond(r, a), nil
	case fault == Conflict && r.Method != http.MethodGet:
		return respond(r, failure(http.StatusConflict, "Conflict", "the object has been modified")), nil
	case fault == Expired && r.URL.Query().Has("continue"):
		return respond(r, failure(http.StatusGone, "Expired", "The provided continue parameter is too old")), nil
	case fault == Lost:
		s.handle(r, body)
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	case fault == BrokenDone:
		s.handle(r, body)
		return respond(r, failure(http.StatusInternalServerError, "", "etcdserver: request timed out")), nil
	}
	refused, err := s.admitted(r)
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return respond(r, *refused), nil
	}
	return respond(r, s.handle(r, body)), nil
}

// note counts a request and asks what becomes of it.
func (s *Server) note(r *http.Request) Fault {
	s.mu.Lock()
	n, fault := len(s.requests), s.fault
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if fault == nil {
		return None
	}
	return fault(n, r)
}

func respond(r *http.Request, a answer) *http.Response {
	raw, err := json.Marshal(a.body)
	if err != nil {
		panic("kubetest: " + err.Error())
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if a.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	return &http.Response{
		StatusCode: a.code, Status: strconv.Itoa(a.code) + " " + http.StatusText(a.code), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(bytes.NewReader(raw)), ContentLength: int64(len(raw)),
	}
}
