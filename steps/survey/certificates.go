package survey

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/inquiry"
)

// certificate reads the first certificate of a PEM text: the others of a chain vouch for it.
func certificate(path string, text []byte) Certificate {
	block, _ := pem.Decode(text)
	if block == nil {
		return Certificate{Path: path, Err: errors.New("there is no certificate in it")}
	}
	c, err := x509.ParseCertificate(block.Bytes)
	return Certificate{Path: path, X509: c, Err: err}
}

// readKubeconfig takes in the server and the client certificate of a kubeconfig. One that names a file has none here:
// the file is looked at by itself.
func (h *Host) readKubeconfig(s inquiry.Section) {
	for line := range strings.Lines(s.Text) {
		word, value, _ := strings.Cut(line, " ")
		value = strings.Trim(value, "\"' \n")
		switch word {
		case "server":
			h.Kubeconfigs[s.About] = value
		case "client-certificate-data":
			text, err := printable.Base64(value)
			c := certificate(s.About, text)
			if err != nil {
				c.Err = err
			}
			h.Certificates = append(h.Certificates, c)
		}
	}
}
