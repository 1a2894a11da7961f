//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A guard is an admission webhook of the test, outside the cluster. It is asked before every eviction in the namespaces that are
// labelled guarded, as the webhooks of operators are that move pods themselves when they see the request.
type guard struct {
	server *httptest.Server

	mu    sync.Mutex
	asks  []ask
	judge func(a ask) (denial string) // "" lets the request through, to the budgets
}

// An ask is a request for an eviction.
type ask struct {
	at             time.Time
	namespace, pod string
	uid            string // of the pod that is meant
}

func (a ask) String() string {
	return fmt.Sprintf("%s %s/%s (%s)", a.at.Format(time.TimeOnly), a.namespace, a.pod, a.uid)
}

// guard starts a guard that lets everything through.
func (l *lab) guard() *guard {
	l.t.Helper()
	host := regexp.MustCompile(`server: https://([0-9.]+):`).FindStringSubmatch(l.read("kubeconfig"))
	if host == nil {
		l.t.Fatal("the kubeconfig does not say at which address of this machine the API is balanced")
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host[1], "0"))
	if err != nil {
		l.t.Fatal(err)
	}
	g := &guard{judge: func(ask) string { return "" }}
	g.server = httptest.NewUnstartedServer(g)
	_ = g.server.Listener.Close()
	g.server.Listener = listener
	g.server.Config.ErrorLog = log.New(l.t.Output(), "", 0)
	certificate, authority := l.servingAt(net.ParseIP(host[1]))
	g.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	g.server.StartTLS()
	l.t.Cleanup(g.server.Close)
	l.apply(strings.NewReplacer("URL", g.server.URL, "AUTHORITY", base64.StdEncoding.EncodeToString(authority)).Replace(drained(l, "guard")))
	return g
}

// servingAt is a certificate for an address, signed by itself.
func (l *lab) servingAt(address net.IP) (_ tls.Certificate, authority []byte) {
	l.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "guard"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{address}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		l.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// begin has the guard judge in another way, and forget what it was asked.
func (g *guard) begin(judge func(a ask) (denial string)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asks, g.judge = nil, judge
}

// seen is what the guard was asked since it began.
func (g *guard) seen() []ask {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asks)
}

// A review is what is read and written of an AdmissionReview of admission.k8s.io/v1.
type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    *struct {
		UID       string `json:"uid"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		Object    struct {
			DeleteOptions struct {
				Preconditions struct {
					UID string `json:"uid"`
				} `json:"preconditions"`
			} `json:"deleteOptions"`
		} `json:"object"`
	} `json:"request,omitempty"`
	Response *ruling `json:"response,omitempty"`
}

type ruling struct {
	UID     string `json:"uid"`
	Allowed bool   `json:"allowed"`
	Status  struct {
		Message string `json:"message,omitempty"`
	} `json:"status"`
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked review
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	denial := g.hear(ask{time.Now(), asked.Request.Namespace, asked.Request.Name, asked.Request.Object.DeleteOptions.Preconditions.UID})
	v := &ruling{UID: asked.Request.UID, Allowed: denial == ""}
	v.Status.Message = denial
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review{APIVersion: asked.APIVersion, Kind: asked.Kind, Response: v}) // one that did not come is asked again
}

func (g *guard) hear(a ask) (denial string) {
	g.mu.Lock()
	g.asks = append(g.asks, a)
	judge := g.judge
	g.mu.Unlock()
	return judge(a)
}

// podsOf are the different pods whose eviction was asked for.
func podsOf(asks []ask) (uids []string) {
	for _, a := range asks {
		if !slices.Contains(uids, a.uid) {
			uids = append(uids, a.uid)
		}
	}
	return uids
}
