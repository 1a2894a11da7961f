package sandbox

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// An api is the HTTPS server behind the door. Which of the pretend API servers answers depends on the connection.
type api struct {
	world  *world
	faults *Faults
	server *http.Server
	slow   slowness
}

// A client is who sent a request, and to which API server it came.
type client struct {
	run    string // from the User-Agent
	server string // the host of the API server
	conn   *doorConn
}

// A reply is what a request is answered with.
type reply struct {
	code  int
	body  []byte
	plain bool
	after int // Retry-After, in seconds
}

// maxBody is the largest request that an API server takes (3 MiB, apiserver's MaxRequestBodyBytes).
const maxBody = 3 << 20

type connKey struct{}

func newAPI(w *world, p *pki, faults *Faults) *api {
	a := &api{world: w, faults: faults}
	a.server = &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // resets are part of the game
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{p.server}, MinVersion: tls.VersionTLS12,
			ClientCAs: p.pool(), ClientAuth: tls.VerifyClientCertIfGiven,
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	return a
}

// ServeHTTP answers one request as an API server does, with the faults that were asked for.
func (a *api) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	by := whoAsks(r)
	fault := a.faults.next("api", faultBusy, faultInternal, faultUnavailable, faultSlow, faultReset, faultLostAnswer)
	if a.spoil(rw, r, fault, by) {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client is gone
	}
	re := a.answer(r, body, by)
	if fault == faultLostAnswer {
		cut(by)
	}
	send(rw, re)
}

func send(rw http.ResponseWriter, re reply) {
	kind := "application/json"
	if re.plain {
		kind = "text/plain; charset=utf-8"
	}
	rw.Header().Set("Content-Type", kind)
	if re.after > 0 {
		rw.Header().Set("Retry-After", fmt.Sprint(re.after))
	}
	rw.WriteHeader(re.code)
	_, _ = rw.Write(re.body) // a client that is gone misses its answer
}

// cut resets the connection of a request: its answer is lost.
func cut(by client) {
	if by.conn != nil {
		by.conn.reset()
	}
	panic(http.ErrAbortHandler)
}

func whoAsks(r *http.Request) client {
	var by client
	if c, ok := r.Context().Value(connKey{}).(*doorConn); ok {
		by.conn, by.server = c, c.server
	}
	for word := range strings.FieldsSeq(r.UserAgent()) {
		if run, ok := strings.CutPrefix(word, "run/"); ok {
			by.run = run
		}
	}
	return by
}

// answer works on one request with the world to itself.
func (a *api) answer(r *http.Request, body []byte, by client) reply {
	w := a.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hosts[by.server] == nil || !w.hosts[by.server].statics["kube-apiserver"].ready {
		return status(apierrors.NewServiceUnavailable("the API server is shutting down"))
	}
	if re, ok := w.health(r.URL.Path, by); ok {
		return re
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return status(apierrors.NewUnauthorized("Unauthorized"))
	}
	if !w.quorum() {
		return status(apierrors.NewInternalError(errors.New("etcdserver: request timed out")))
	}
	if w.flicker > 0 {
		w.flicker--
		return status(apierrors.NewInternalError(errors.New("etcdserver: leader changed")))
	}
	re, err := w.handle(r, body, by)
	if err != nil {
		return status(err)
	}
	return re
}

// health answers the paths that need no permission: probes and the version of the API server that was asked.
func (w *world) health(path string, by client) (reply, bool) {
	switch path {
	case "/livez", "/livez/ping":
		return reply{code: http.StatusOK, body: []byte("ok"), plain: true}, true
	case "/readyz", "/healthz", "/readyz/ping":
		if !w.quorum() {
			return reply{code: http.StatusInternalServerError, body: []byte("[-]etcd failed: reason withheld\nhealthz check failed\n"), plain: true}, true
		}
		return reply{code: http.StatusOK, body: []byte("ok"), plain: true}, true
	case "/version", "/version/":
		v := tag(w.hosts[by.server].statics["kube-apiserver"].image)
		return encode(http.StatusOK, map[string]string{
			"major": "1", "minor": fmt.Sprint(minor(v)), "gitVersion": "v" + v, "gitTreeState": "clean",
			"compiler": "gc", "platform": "linux/amd64",
		}), true
	}
	return reply{}, false
}

// handle finds the resource that a path names and does with it what the method says.
func (w *world) handle(r *http.Request, body []byte, by client) (reply, error) {
	if re, ok := w.discover(r.URL.Path, by); ok {
		return re, nil
	}
	if r.URL.Path == "/metrics" {
		return reply{code: http.StatusOK, body: []byte(w.metrics(by.server)), plain: true}, nil
	}
	q, err := w.parse(r.URL.Path)
	if err != nil && !w.hasGroup(r.URL.Path) { // no API server of Kubernetes has been registered for it
		return reply{code: http.StatusNotFound, body: []byte("404 page not found\n"), plain: true}, nil
	}
	if err != nil {
		return reply{}, err
	}
	q.query, q.body, q.by, q.kind = r.URL.Query(), body, by, r.Header.Get("Content-Type")
	q.pretty = wantsTable(r.Header.Get("Accept"))
	if q.review {
		return allow(q, r.Method)
	}
	if watch := q.option("watch"); watch == "true" || watch == "1" {
		return reply{}, refuse(q, "watch", "the sandbox serves no watches: list again instead")
	}
	w.renewLeases()
	w.renewLeaders()
	w.computeBudgets()
	verb := verbOf(r.Method, q)
	if q.sub == "" && !q.table.can(verb) || q.sub != "" && (q.table.plural != "pods" || q.sub != "eviction" || verb != "create") {
		return reply{}, refuse(q, verb, "the sandbox does not serve it")
	}
	switch verb {
	case "list":
		return w.list(q)
	case "get":
		return w.get(q)
	case "create":
		if q.sub == "eviction" {
			return w.createEviction(q)
		}
		return w.create(q)
	case "update":
		return w.update(q)
	case "patch":
		return w.patch(q)
	default:
		return w.remove(q)
	}
}

// verbOf is the verb of Kubernetes for a method of HTTP.
func verbOf(method string, q request) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		if q.name == "" {
			return "list"
		}
		return "get"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if q.name == "" {
			return "deletecollection"
		}
		return "delete"
	}
	return strings.ToLower(method)
}

func refuse(q request, verb, why string) error {
	err := apierrors.NewMethodNotSupported(q.table.resource(), verb)
	err.ErrStatus.Message += ": " + why
	return err
}

// A request is what a path, a query and a body say.
type request struct {
	table     *table
	namespace string
	name      string
	sub       string // subresource
	review    bool   // of one's own permissions
	pretty    bool   // the answer is to be a table
	query     map[string][]string
	kind      string // of the body
	body      []byte
	by        client
}

func (q request) option(name string) string {
	if v := q.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (q request) dryRun() bool { return isDryRun(q.query["dryRun"]) }

func isDryRun(values []string) bool { return slices.Contains(values, metav1.DryRunAll) }

func (q request) key() string { return key(q.namespace, q.name) }

// parse takes /api/v1/namespaces/shop/pods/web-1/eviction and the like apart.
func (w *world) parse(path string) (request, error) {
	parts := trimmed(path)
	var q request
	var gv schema.GroupVersion
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		gv, parts = schema.GroupVersion{Version: parts[1]}, parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		gv, parts = schema.GroupVersion{Group: parts[1], Version: parts[2]}, parts[3:]
	default:
		return q, noSuchPath()
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		q.namespace, parts = parts[1], parts[2:]
	}
	if gv.Group == "authorization.k8s.io" && strings.HasPrefix(parts[0], "selfsubject") {
		q.review = true
		return q, nil
	}
	q.table = w.tables[tableName(gv.Group, parts[0])]
	if q.table == nil || q.table.group != gv.Group || q.table.version != gv.Version || len(parts) > 3 || q.namespace != "" && !q.table.namespaced {
		return q, noSuchPath()
	}
	if len(parts) > 1 {
		q.name = parts[1]
	}
	if len(parts) > 2 {
		q.sub = parts[2]
	}
	return q, nil
}

// hasGroup says whether the sandbox serves anything of the API group of a path.
func (w *world) hasGroup(path string) bool {
	parts := trimmed(path)
	if parts[0] != "apis" || len(parts) < 2 {
		return parts[0] == "api"
	}
	for _, t := range w.tables {
		if t.group == parts[1] {
			return true
		}
	}
	return false
}

func noSuchPath() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Message: "the server could not find the requested resource", Details: &metav1.StatusDetails{},
	}}
}

// allow answers a review of the administrator's own permissions: everything is allowed.
func allow(q request, method string) (reply, error) {
	if method != http.MethodPost {
		return reply{}, noSuchPath()
	}
	review := map[string]any{}
	if err := json.Unmarshal(q.body, &review); err != nil {
		return reply{}, apierrors.NewBadRequest("reading the review: " + err.Error())
	}
	review["status"] = map[string]any{"allowed": true}
	return encode(http.StatusCreated, review), nil
}

func encode(code int, v any) reply {
	b, err := json.Marshal(v)
	if err != nil {
		return status(apierrors.NewInternalError(err))
	}
	return reply{code: code, body: append(b, '\n')}
}

// status is an error as an API server words it.
func status(err error) reply {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	s := known.Status()
	s.Kind, s.APIVersion = "Status", "v1"
	b, err := json.Marshal(s)
	if err != nil {
		b = []byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":500}`)
	}
	re := reply{code: int(s.Code), body: append(b, '\n')}
	if s.Details != nil {
		re.after = int(s.Details.RetryAfterSeconds)
	}
	return re
}
