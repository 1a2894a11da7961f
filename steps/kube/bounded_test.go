package kube_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"upgrader.dev/upgrader/steps/kube"
)

// blanks are so many blanks, a page at a time.
func blanks(w io.Writer, size int) {
	page := []byte(strings.Repeat(" ", 64<<10))
	for range size / len(page) {
		if _, err := w.Write(page); err != nil {
			return
		}
	}
}

// zipped is a gzip member of so many blanks.
func zipped(size int) []byte {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	blanks(z, size)
	_ = z.Close() // into memory, which cannot fail
	return member.Bytes()
}

// webClient is a client of a server of HTTP.
func webClient(t *testing.T, h http.HandlerFunc) *kube.Client {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	c, err := kube.New(web.URL, nil, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An answer is bounded as it is sent and as it is after decompression, whatever its length says, and the error names it.
func TestAnswersAreBounded(t *testing.T) {
	const gib = 1 << 30
	mib := zipped(1 << 20) // made before: to compress 1 GiB takes the race detector longer than a request may take
	for name, send := range map[string]http.HandlerFunc{
		"plain": func(w http.ResponseWriter, _ *http.Request) { blanks(w, gib) },
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for range 1024 {
				if _, err := w.Write(mib); err != nil {
					return
				}
			}
		},
		"compressed, of nothing": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for many := bytes.Repeat(zipped(0), 1000); ; { // each unpacks to no byte
				if _, err := w.Write(many); err != nil {
					return
				}
			}
		},
		"a failure": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			blanks(w, gib)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := webClient(t, send)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Node(t.Context(), "w1")
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), "reading node w1") || !strings.Contains(err.Error(), "more than 16 MiB") {
				t.Errorf("got %v", err)
			}
			if grown := int64(after.HeapSys-before.HeapSys) >> 20; grown > 128 {
				t.Errorf("it took %d MiB", grown)
			}
		})
	}
}

// A server that compresses is understood.
func TestCompressedAnswers(t *testing.T) {
	c := webClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("it accepts %q", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		z := gzip.NewWriter(w)
		defer z.Close()
		_, _ = io.WriteString(z, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"w1","uid":"u"}}`)
	})
	if n, err := c.Node(t.Context(), "w1"); err != nil || n.UID != "u" {
		t.Errorf("%+v, %v", n, err)
	}
}

// large serves so many nodes of 100 KiB each.
func large(nodes int, asked *atomic.Int64) http.HandlerFunc {
	const pad = 100 << 10
	return func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		to, next := min(from+limit, nodes), ""
		if to < nodes {
			next = strconv.Itoa(to)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"kind":"NodeList","apiVersion":"v1","metadata":{"continue":%q},"items":[`, next)
		for i := from; i < to; i++ {
			if i > from {
				_, _ = io.WriteString(w, ",")
			}
			_, _ = fmt.Fprintf(w, `{"metadata":{"name":"n%d","annotations":{"pad":"`, i)
			blanks(w, pad)
			_, _ = io.WriteString(w, `"}}}`)
		}
		_, _ = io.WriteString(w, `]}`)
	}
}

// A list whose pages are too large is read in smaller ones: a cluster may have large objects.
func TestLargeObjectsAreReadInSmallerPages(t *testing.T) {
	var asked atomic.Int64
	nodes, err := webClient(t, large(400, &asked)).Nodes(t.Context())
	if err != nil || len(nodes) != 400 {
		t.Errorf("%d nodes, %v", len(nodes), err)
	}
	if asked.Load() > 10 {
		t.Errorf("it asked %d times", asked.Load())
	}
}

// A list that does not end is given up, and named.
func TestEndlessLists(t *testing.T) {
	items := strings.Repeat(`{"metadata":{"name":"n"}},`, 9999) + `{"metadata":{"name":"n"}}`
	c := webClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"NodeList","apiVersion":"v1","metadata":{"continue":"more"},"items":[`+items+`]}`)
	})
	if _, err := c.Nodes(t.Context()); err == nil || !strings.Contains(err.Error(), "reading the nodes: the list does not end") {
		t.Errorf("got %v", err)
	}
}
