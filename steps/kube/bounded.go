package kube

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// mostBytes bounds one answer of the API server, as it is sent and as it is after decompression. A page of 500 pods has
// 5 MB; one whose objects are larger is asked for again with fewer of them (see paged).
const mostBytes = 16 << 20

// errTooLarge says that an answer was given up because of its size. It is permanent: the next one would be as large.
var errTooLarge = errors.New("more than this client takes in")

// bounded lets no answer through that is larger than most. It has the server compress, as net/http would, but
// decompresses by itself: net/http offers no bound between the two. Nothing here streams, so the answer is read as a whole.
type bounded struct {
	next http.RoundTripper
	most int64
}

// RoundTrip makes the request and reads its answer.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept-Encoding", "gzip")
	answer, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := b.read(req.URL.Path, answer)
	if err != nil {
		return nil, err
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer.Header.Del("Content-Encoding")
	answer.Header.Del("Content-Length")
	return answer, nil
}

// WrappedRoundTripper lets client-go find the transport that keeps the connections.
func (b bounded) WrappedRoundTripper() http.RoundTripper { return b.next }

func (b bounded) read(path string, answer *http.Response) ([]byte, error) {
	sent := &limited{r: answer.Body, left: b.most, why: fmt.Errorf("the answer to %s has more than %d MiB: %w", path, b.most>>20, errTooLarge)}
	if !strings.EqualFold(answer.Header.Get("Content-Encoding"), "gzip") {
		return io.ReadAll(sent)
	}
	unpacked, err := gzip.NewReader(sent)
	if err != nil {
		return nil, fmt.Errorf("decompressing the answer to %s: %w", path, err)
	}
	return io.ReadAll(&limited{r: unpacked, left: b.most, why: sent.why})
}

// limited reads at most so many bytes; more of them is an error and not an end, unlike with io.LimitReader.
type limited struct {
	r    io.Reader
	left int64
	why  error
}

// Read fails with why once there is more than was left.
func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, l.why
	}
	return n, err
}
