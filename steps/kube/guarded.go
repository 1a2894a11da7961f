package kube

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// Under returns a client of the same cluster whose writes rest on a lock: each request that is not a GET, also each that
// is made again, is sent only while the lock is sure to be held for as long as the request can last. The lock is renewed
// first where it has to be. Its errors are engine.ErrFenced once the lock is lost, and engine.Transient ones, with
// nothing sent, while it cannot be renewed. What it writes on nodes carries the lock's epoch.
func (c *Client) Under(l *Lock) (*Client, error) {
	reads, err := c.transportFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("making the lock's client: %w", err)
	}
	wired := rest.CopyConfig(c.config)
	if wired.Transport == nil { // not in the same process: there are sockets
		wired.Dial = l.dial
	}
	writes, err := c.transportFor(wired)
	if err != nil {
		return nil, fmt.Errorf("making the lock's client: %w", err)
	}
	client, err := clientBy(c.config, &guarded{l, reads, writes})
	if err != nil {
		return nil, fmt.Errorf("making the lock's client: %w", err)
	}
	return &Client{rest: client, config: c.config, lock: l, giver: c.giver}, nil
}

// guarded is the one place that every write of a client under a lock goes through.
type guarded struct {
	lock          *Lock
	reads, writes http.RoundTripper // with connections of their own: those of writes are cut with the lock
}

// RoundTrip proves the lock, makes the write in what is left of its life, and wants it to be alive still when the answer
// has come: what was answered later may have been overtaken, so nobody knows what it is worth.
func (g *guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return g.reads.RoundTrip(req)
	}
	longest := g.lock.pace.write
	if err := g.lock.outlast(req.Context(), longest); err != nil {
		drop(req)
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), longest, &slowError{longest, slowAdmission})
	defer cancel()
	answer, err := g.writes.RoundTrip(within(ctx, req, longest))
	if err != nil {
		return nil, late(ctx, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if err := g.lock.believed(0); err != nil { // the outcome is looked at again, under a lock that is proved anew
		return nil, fmt.Errorf("when the answer came: %w", err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// CloseIdleConnections makes the next requests dial anew.
func (g *guarded) CloseIdleConnections() {
	utilnet.CloseIdleConnectionsFor(g.reads)
	utilnet.CloseIdleConnectionsFor(g.writes)
}

// within is the request with a deadline, which the server keeps too: it would go on with a write whose client has been
// stopped and cannot hang up.
func within(ctx context.Context, req *http.Request, longest time.Duration) *http.Request {
	req = req.Clone(ctx)
	query := req.URL.Query()
	query.Set("timeout", longest.String())
	req.URL.RawQuery = query.Encode()
	return req
}

func drop(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // a RoundTripper must, also when it fails
	}
}

// dial makes a connection for writes.
func (l *Lock) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: l.pace.dial, ControlContext: giveUpAfter(l.pace.transit)}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &fused{conn, l}, nil
}

// A fused connection sends nothing unless the lock outlasts what is sent, by a look at the clock right before it goes to
// the kernel. A process can be stopped anywhere (a signal, a laptop's lid): also between the proof of the lock and the
// sending, when it wakes up much later and knows nothing of it.
type fused struct {
	net.Conn
	lock *Lock
}

// Write sends p, or closes the connection.
func (f *fused) Write(p []byte) (int, error) {
	if err := f.lock.believed(f.lock.pace.write); err != nil { // parts of the request may have been sent before
		_ = f.Close()
		return 0, err
	}
	return f.Conn.Write(p)
}
