package redact

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"
)

const webToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6IkEifQ.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"

func TestLikely(t *testing.T) {
	tests := []struct{ text, want string }{
		{"kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:1f2e3d", "kubeadm join 10.0.0.1:6443 --token *** --discovery-token-ca-cert-hash sha256:1f2e3d"},
		{"kubeadm join --token=abcdef.0123456789abcdef\n", "kubeadm join --token=***\n"},
		{"TOKEN                     TTL\nabcdef.0123456789abcdef   23h\n", "TOKEN                     TTL\n***   23h\n"},
		{`{"token":"9vx2kq.5tqkz1xw3v8m0e7h","user":"abcdef.0123456789abcdef"}`, `{"token":"***","user":"***"}`},
		{"the token abcdef.0123456789abcdef, and abcdef.0123456789abcdef.", "the token ***, and ***."},
		{"--certificate-key " + strings.Repeat("0af1", 16), "--certificate-key ***"},
		{"--certificate-key=" + strings.Repeat("0af1", 16) + " x", "--certificate-key=*** x"},
		{"certificateKey: " + strings.Repeat("0af1", 16), "certificateKey: ***"},
		{"[upload-certs] Using certificate key:\n" + strings.Repeat("0af1", 16) + "\n" + strings.Repeat("1af2", 16), "[upload-certs] Using certificate key:\n***\n" + strings.Repeat("1af2", 16)},
		{"  token-id: MDEyMzQ1\n  token-secret: MDEyMzQ1Njc4OWFiY2RlZg==\n", "  token-id: MDEyMzQ1\n  token-secret: ***\n"},
		{`{"auths":{"r.example":{"auth":"YWRtaW46aHVudGVyMg=="}}}`, `{"auths":{"r.example":{"auth":"***"}}}`},
		{"+ curl -fsS -u admin:hunter2 https://r.example/v2/", "+ curl -fsS -u admin:*** https://r.example/v2/"},
		{"curl --user 'admin:hun ter2' x", "curl --user 'admin:*** ter2' x"},
		{"+ docker login --username admin --password hunter2 r.example", "+ docker login --username admin --password *** r.example"},
		{"--password=hunter2, POSTGRES_PASSWORD=hunter2", "--password=*** POSTGRES_PASSWORD=***"},
		{"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCY\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCY", "AWS_SECRET_ACCESS_KEY=***\naws_secret_access_key = ***"},
		{`{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"wJalrXUtnFEMI/K7MDENG+bPxRfiCY"}`, `{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"***"}`},
		{"token: " + webToken + "\n", "token: ***\n"},
		{"Authorization: Bearer abc.def-1\n", "Authorization: Bearer ***\n"},
		{"authorization: bearer opaquetoken\nmode", "authorization: bearer ***\nmode"},
		{`-H "Authorization: Basic YWRtaW46aHVudGVy"`, `-H "Authorization: Basic ***"`},
		{`{"Authorization":["Bearer opaquetoken"]}`, `{"Authorization":["Bearer ***"]}`},
		{"map[Authorization:[Bearer opaquetoken] Accept:[x]]", "map[Authorization:[Bearer ***] Accept:[x]]"},
		{"Authorization:Bearer opaquetoken", "Authorization:Bearer ***"},
		{"invalid bearer token, with Bearer 0123456789abcdefXYZ", "invalid bearer token, with Bearer ***"},
		{"proxy http://user:p%40ss@proxy:3128/ refused", "proxy http://user:***@proxy:3128/ refused"},
		{"http_proxy=http://user:pa,ss(1)@proxy:3128", "http_proxy=http://user:***@proxy:3128"},
		{"redis://:hunter2@redis", "redis://:***@redis"},
		{`Get "https://admin:hunter2@10.0.0.1:6443/api": refused`, `Get "https://admin:***@10.0.0.1:6443/api": refused`},
		{"client-key-data: " + base64.StdEncoding.EncodeToString([]byte("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n")) + "\nname: x", "client-key-data: ***\nname: x"},
		{"-----BEGIN EC PRIVATE KEY-----\n" + body + "\n-----END EC PRIVATE KEY-----\nnext", "-----BEGIN EC PRIVATE KEY-----\n***\n-----END EC PRIVATE KEY-----\nnext"},
		{"    -----BEGIN PRIVATE KEY-----\n    " + body + "\n    -----END PRIVATE KEY-----", "    -----BEGIN PRIVATE KEY-----\n    ***\n    -----END PRIVATE KEY-----"},
		{"-----BEGIN RSA PRIVATE KEY-----\nthen the log goes on as before, without an end\n", "-----BEGIN RSA PRIVATE KEY-----\n*** the log goes on as before, without an end\n"},
		{`"-----BEGIN PRIVATE KEY-----\nABC", "more"`, `"-----BEGIN PRIVATE KEY-----\n***", "more"`},
	}
	for _, tt := range tests {
		for size := 1; size <= len(tt.text); size += 1 + size/8 {
			if got := inPieces(tt.text, size, LikelyWriter); got != tt.want {
				t.Errorf("pieces of %d: got\n%s\nwant\n%s", size, got, tt.want)
				break
			}
		}
		if again := Likely(tt.want); again != tt.want {
			t.Errorf("%q is changed again, to %q", tt.want, again)
		}
	}
}

var body = strings.Repeat("MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqGSM49\n", 2) + "Zm9v"

// Keys as programs write them: each as it is, and as JSON has it.
func TestPrivateKeys(t *testing.T) {
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	small, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, _ := x509.MarshalECPrivateKey(small)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(strong)
	for kind, der := range map[string][]byte{"RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(strong), "EC PRIVATE KEY": ec, "PRIVATE KEY": pkcs8} {
		block := pem.Block{Type: kind, Bytes: der}
		plain := string(pem.EncodeToMemory(&block))
		block.Headers = map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00112233445566778899AABBCCDDEEFF"}
		locked := string(pem.EncodeToMemory(&block))
		inJSON, _ := json.Marshal(map[string]string{"key": plain, "next": "shown"})
		spaced := strings.ReplaceAll(plain, "\n", " ")
		for name, text := range map[string]string{"plain": plain, "locked": locked, "JSON": string(inJSON), "on one line": spaced} {
			for _, size := range []int{1, 64, 1000, len(text)} {
				got := inPieces("a "+text+" z", size, LikelyWriter)
				if len(got) > 160 || !strings.HasPrefix(got, "a ") || !strings.HasSuffix(got, " z") || !strings.Contains(got, "END "+kind) {
					t.Errorf("%s, %s, pieces of %d: %s", kind, name, size, got)
				}
				if name == "JSON" && !json.Valid([]byte(strings.TrimSuffix(got[2:], " z"))) {
					t.Errorf("%s: no JSON any more: %s", kind, got)
				}
			}
		}
	}
}

// What hosts and clusters really print stays as it is.
func TestLikelyRaisesNoFalseAlarm(t *testing.T) {
	text, err := os.ReadFile("testdata/ordinary.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if got := Likely(line); got != line {
			t.Errorf("%sbecame %s", line, got)
		}
	}
	if got := Likely(string(text)); got != string(text) {
		t.Error("the whole is changed although no line is")
	}
}

// A line without end is no burden, and a secret in it is found.
func TestLikelyInALineWithoutEnd(t *testing.T) {
	long := strings.Repeat("x", 3*longestWord)
	for _, secret := range []string{"=abcdef.0123456789abcdef=", "https://u:hunter2secret@host/", strings.Repeat(webToken, 200)} {
		for _, size := range []int{100, 1000, 4096, 1 << 20} {
			got := inPieces(long+"="+secret+")"+long, size, LikelyWriter)
			if !strings.Contains(got, Stars) || strings.Contains(got, "0123456789abcdef") || strings.Contains(got, "hunter2secret") || strings.Contains(got, "c2lnbmF0dXJl") {
				t.Errorf("%.40s in pieces of %d stayed", secret, size)
			}
			if want := 2*len(long) + len("=/"); len(got) < want {
				t.Errorf("%.40s in pieces of %d: only %d bytes are left of %d", secret, size, len(got), want)
			}
		}
	}
}

func BenchmarkLikely(b *testing.B) {
	text, err := os.ReadFile("testdata/ordinary.txt")
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string][]byte{"lines": bytes.Repeat(text, 1+(32<<10)/len(text)), "one-line": bytes.Repeat([]byte("x"), 32<<10), "pairs": bytes.Repeat([]byte("password=="), 4<<10)} {
		b.Run(name, func(b *testing.B) {
			w := LikelyWriter(discard{})
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = w.Write(text)
			}
		})
	}
}
