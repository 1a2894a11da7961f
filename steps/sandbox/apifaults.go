package sandbox

import (
	"errors"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The faults of the API.
const (
	faultBusy        = "429"         // priority and fairness: try again in a second; nothing happened
	faultInternal    = "500"         // nothing happened
	faultUnavailable = "503"         // nothing happened
	faultSlow        = "slow"        // this API server is slow for a while
	faultReset       = "reset"       // the connection is reset before the request is looked at
	faultLostAnswer  = "lost-answer" // the connection is reset after the request was carried out
)

const (
	slowRequests = 5                      // so many requests meet a slow API server
	slowAnswer   = 300 * time.Millisecond // and wait so much longer
)

// slowness is which API servers are slow, and for how many requests still.
type slowness struct {
	mu   sync.Mutex
	left map[string]int
}

func (s *slowness) add(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == nil {
		s.left = map[string]int{}
	}
	s.left[server] = slowRequests
}

// meets says whether a request finds the server slow.
func (s *slowness) meets(server string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left[server] == 0 {
		return false
	}
	s.left[server]--
	return true
}

// spoil makes the fault that a request meets. It says whether that was all the answer there is.
func (a *api) spoil(rw http.ResponseWriter, r *http.Request, fault string, by client) bool {
	switch fault {
	case faultBusy:
		send(rw, status(apierrors.NewTooManyRequests("Too many requests, please try again later.", 1)))
		return true
	case faultInternal:
		send(rw, status(apierrors.NewInternalError(errors.New("etcdserver: request timed out"))))
		return true
	case faultUnavailable:
		send(rw, status(apierrors.NewServiceUnavailable("the server is currently unable to handle the request")))
		return true
	case faultReset:
		cut(by)
	case faultSlow:
		a.slow.add(by.server)
	}
	if a.slow.meets(by.server) {
		select {
		case <-time.After(a.world.pace(slowAnswer)):
		case <-r.Context().Done():
		}
	}
	return false
}
