package survey

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
	"upgrader.dev/upgrader/steps/inquiry"
)

// lines that a host may send without end.
func endless() []string {
	return []string{
		"== file /a\nchanged 1\n", "== host\nleftover 1 1 /a\nunit a Result=x\n",
		"|" + strings.Repeat("x", 60) + "\n", "== file /a\n|x\n", "== host\ndisk / /dev/x 1 1 1 1% /\ninodes / /dev/x 1 1 1 1% /\n",
		"disk /p /dev/x 1 1 1 1% /\n", "== kubeconfig a\n|client-certificate-data AAAA\n", "== certificate a\n|x\n", "== apt\nremote kubeadm 1\nsignature a b c\n",
		"== api a\nprocess_start_time_seconds 1\napiserver_requested_deprecated_apis{group=\"a\",version=\"b\"} 1\n", "== runtime\nimage a b\n",
	}
}

// FuzzRead proves that no answer of a host breaks the reader, that nothing hostile comes out of it, and nothing long.
func FuzzRead(f *testing.F) {
	for _, line := range endless() {
		f.Add("== host\nuser 0\nclock 1.5\n" + line + line)
	}
	files, _ := filepath.Glob("testdata/*")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, stdout string) {
		h := Read("w1", inquiry.Read(printable.Text(stdout), ""), time.Now(), time.Now()) // as the client of the hosts hands it on
		certificates := h.Certificates
		for i := range certificates {
			certificates[i].X509 = nil // its bytes are no text; its names are asked for in TestNamesInCertificates
		}
		files, difference, more := h.Files, h.Difference, h.More
		h.Files, h.Difference, h.More = nil, "", nil
		hostile.Check(t, h, printable.Message)
		hostile.Check(t, []any{files, difference, more}, 0)
	})
}

// The names in a certificate are the work of whoever made it.
func TestNamesInCertificates(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	evil := strings.ToValidUTF8(hostile.Text(), "")
	name := pkix.Name{CommonName: evil, Organization: []string{evil}}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: name, Issuer: name, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	bars := "|" + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n|") + "\n"
	inside := "|client-certificate-data " + base64.StdEncoding.EncodeToString([]byte(text)) + "\n"
	h := Read("w1", inquiry.Read("== certificate /a\n"+bars+"== kubeconfig /b\n"+inside, ""), time.Now(), time.Now())
	if len(h.Certificates) != 2 {
		t.Fatal(h.Certificates)
	}
	for _, c := range h.Certificates {
		shown := c.X509.Subject.String() + c.X509.Issuer.String() + c.X509.Subject.CommonName
		if what, found := hostile.Obeyed(shown); found || !strings.Contains(shown, "evil") {
			t.Errorf("%s: %s in %q", c.Path, what, shown)
		}
	}
}

func TestReadingCostsInProportion(t *testing.T) {
	for _, line := range endless() {
		hostile.InProportion(t, line, func(text string) { Read("w1", inquiry.Read(text, ""), time.Time{}, time.Time{}) })
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{1 << 20, 8 << 20} {
		for _, line := range endless() {
			text := strings.Repeat(line, size/len(line))
			b.Run(fmt.Sprintf("%.8s/%dMB", line, size>>20), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					Read("w1", inquiry.Read(text, ""), time.Time{}, time.Time{})
				}
			})
		}
	}
}
