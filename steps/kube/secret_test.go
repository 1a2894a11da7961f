package kube_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"upgrader.dev/upgrader/steps/kube"
)

// repeating is a server that answers every request with an error that repeats a secret.
type repeating string

func (s repeating) RoundTrip(r *http.Request) (*http.Response, error) {
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,"message":%q}`, string(s))
	return &http.Response{StatusCode: http.StatusUnprocessableEntity, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// What the API server, or a webhook or proxy before it, repeats of a secret goes no further.
func TestErrorsShowNoSecret(t *testing.T) {
	for said, want := range map[string]string{
		"denied: Authorization: Bearer opaque-value-1": "denied: Authorization: Bearer ***",
		"token abcdef.0123456789abcdef is unknown":     "token *** is unknown",
		`calling "https://hook:hunter2@host/x": EOF`:   `calling "https://hook:***@host/x": EOF`,
	} {
		c, err := kube.New("http://cluster.test", repeating(said), kube.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, readErr := c.Node(t.Context(), "w1")
		writeErr := c.Evict(t.Context(), kube.Pod{Namespace: "a", Name: "b", UID: "1", Node: "w1"})
		for _, err := range []error{readErr, writeErr} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}
