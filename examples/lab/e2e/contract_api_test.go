//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// A request is one of a file of testdata/api, which are contracts of the API server:
//
//	What it proves.
//
//	-- setup --
//	POST /api/v1/namespaces/default/pods
//	{"metadata": {"name": "contract"}, ...}
//
//	GET /api/v1/namespaces/default/pods/contract
//	until status.phase Running         asked again until it is so, for half a minute
//	uid = metadata.uid                 remembered; {uid} stands for it from here on
//
//	-- script --
//	PATCH /api/v1/nodes/w1
//	type application/merge-patch+json
//	{"spec": {"unschedulable": true}}
//	show spec.unschedulable            of an answer that is no Status only what is shown is compared
//
//	-- cleanup --
//
// A blank line ends a request. {NOW} and its like are known. Of an answer are compared: the HTTP status, Retry-After, and
// of a Status its status, reason, message, code and causes.
type request struct {
	method, path, kind, body string
	until                    [2]string
	names, shown             [][2]string
}

// session is one contract on one side.
type session struct {
	client *http.Client
	server string
	known  map[string]string
}

func readRequests(text string) []request {
	var all []request
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var r request
		for line := range strings.Lines(strings.TrimSpace(block)) {
			line = strings.TrimSpace(line)
			word, rest, _ := strings.Cut(line, " ")
			name, path, assigned := strings.Cut(line, " = ")
			switch {
			case r.path == "":
				r.method, r.path, r.kind = word, rest, "application/json"
			case strings.HasPrefix(line, "{") || strings.HasPrefix(line, "["):
				r.body += line
			case word == "type":
				r.kind = rest
			case word == "until":
				path, value, _ := strings.Cut(rest, " ")
				r.until = [2]string{path, value}
			case word == "show":
				r.shown = append(r.shown, [2]string{rest, rest})
			case assigned:
				r.names = append(r.names, [2]string{name, path})
			}
		}
		if r.path != "" {
			all = append(all, r)
		}
	}
	return all
}

var placeholder = regexp.MustCompile(`\{([A-Za-z_]+)\}`)

func (s *session) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		if v, ok := s.known[strings.Trim(p, "{}")]; ok {
			return v
		}
		return p
	})
}

// reply is what an answer says beside its body.
type reply struct {
	code  int
	after string // Retry-After
}

// send makes one request.
func (s *session) send(t *testing.T, r request) (reply, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.server+s.fill(r.path), strings.NewReader(s.fill(r.body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", r.kind)
	response, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if json.Unmarshal(text, &answer) != nil {
		answer["text"] = string(text)
	}
	return reply{response.StatusCode, response.Header.Get("Retry-After")}, answer
}

// do makes a request as often as it has to be made and returns what is compared of its answer.
func (s *session) do(t *testing.T, r request) string {
	t.Helper()
	said, answer := s.send(t, r)
	for end := time.Now().Add(30 * time.Second); r.until[0] != "" && at(answer, r.until[0]) != r.until[1]; said, answer = s.send(t, r) {
		if time.Now().After(end) {
			t.Fatalf("%s %s: %s is still %q: %v", r.method, r.path, r.until[0], at(answer, r.until[0]), answer)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, n := range r.names {
		s.known[n[0]] = at(answer, n[1])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d\n", r.method, r.path, said.code)
	if said.after != "" {
		fmt.Fprintf(&b, "  Retry-After: %s\n", said.after)
	}
	shown := r.shown
	if answer["kind"] == "Status" {
		shown = append(shown, [][2]string{{"status"}, {"reason"}, {"message"}, {"code"}, {"details.causes"}, {"details.retryAfterSeconds"}}...)
	}
	for _, path := range shown {
		if v := at(answer, path[0]); v != "" {
			fmt.Fprintf(&b, "  %s: %s\n", path[0], v)
		}
	}
	return s.unfill(b.String())
}

// unfill takes out what differs by nature: what was remembered, and resource versions.
func (s *session) unfill(text string) string {
	for name, value := range s.known {
		if len(value) > 8 { // a UID; a short one may be a part of anything
			text = strings.ReplaceAll(text, value, "{"+name+"}")
		}
	}
	return text
}

// at is what a document has at a path of names and numbers, as text; "" if there is nothing.
func at(document any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		switch d := document.(type) {
		case map[string]any:
			document = d[strings.ReplaceAll(name, "|", ".")] // upgrader|dev/cordoned-by
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(d) {
				return ""
			}
			document = d[i]
		default:
			return ""
		}
	}
	switch v := document.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(v); err != nil {
			return err.Error()
		}
		return strings.TrimSpace(b.String())
	}
}

func (s side) session(t *testing.T) *session {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for name, value := range s.versions {
		known[name] = value
	}
	return &session{client, config.Host, known}
}

// ask runs an API contract on one side.
func (s side) ask(t *testing.T, parts map[string]string) string {
	t.Helper()
	c := s.session(t)
	defer func() {
		for _, r := range readRequests(parts["cleanup"]) {
			c.do(t, r)
		}
	}()
	for _, r := range readRequests(parts["setup"]) {
		if said := c.do(t, r); strings.Contains(said, "Failure") {
			t.Errorf("%s: setting up: %s", s.name, said)
		}
	}
	said := ""
	for _, r := range readRequests(parts["script"]) {
		said += c.do(t, r)
	}
	return said
}

// apiContracts sends the same requests to the sandbox's API server and to a real one.
func apiContracts(t *testing.T, lab, pretend side) {
	files, err := filepath.Glob("testdata/api/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no contracts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts, said := sections(string(text)), make([]string, 2)
			var both sync.WaitGroup
			for i, s := range []side{lab, pretend} {
				both.Go(func() { said[i] = s.ask(t, parts) })
			}
			both.Wait()
			if said[0] != said[1] {
				t.Errorf("%s\nlab:\n%s\nsandbox:\n%s", strings.TrimSpace(parts[""]), said[0], said[1])
			}
		})
	}
}
