package redact

import (
	"bytes"
	"encoding/base64"
)

// A context is what the words before one say of it.
type context struct {
	header      bool // a header Authorization is being printed
	token       bool // the name of a scheme came last, as Bearer
	key         bool // the name of kubeadm's certificate key came last
	certificate bool // "certificate" came last
	below       bool // "certificate key:" came last: kubeadm prints it in a line of its own
	encoded     bool // the name of a secret of letters came last
	password    bool // --password came last
	auth        bool // the name of a registry's credentials in Docker's configuration came last
	curl        bool // this is a command of curl
	user        bool // its -u came last
}

// after takes in a word.
func (b *context) after(word []byte) {
	if len(word) == 1 && (word[0] == ':' || word[0] == '=') {
		return // `"Authorization": "Bearer x"`
	}
	was := *b
	*b = context{curl: was.curl}
	var small [24]byte
	if len(word) < 2 || len(word) > len(small) || bytes.IndexByte([]byte("aApPbBtTcCkKsSnN-"), word[0]) < 0 {
		return
	}
	name, scheme, joined := bytes.Cut(appendSmall(small[:0], word), []byte(":"))
	name = bytes.TrimSuffix(name, []byte("="))
	switch string(name) {
	case "authorization", "proxy-authorization":
		b.header = true
		b.token = joined && isScheme(scheme)
	case "bearer":
		b.header, b.token = was.header, true
	default:
		b.header, b.token = was.header && isScheme(name), was.header && isScheme(name)
		b.named(string(name), was)
	}
}

// named takes in the name of something that a secret may follow.
func (b *context) named(name string, was context) {
	switch name {
	case "--certificate-key", "certificate-key", "certificatekey":
		b.key = true
	case "certificate":
		b.certificate = true
	case "key":
		b.key, b.below = was.certificate, was.certificate
	case "token-secret", "aws_secret_access_key", "secretaccesskey", "aws_session_token", "sessiontoken":
		b.encoded = true
	case "--password":
		b.password = true
	case "auth":
		b.auth = true
	case "curl":
		b.curl = true
	case "-u", "--user":
		b.user = was.curl
	}
}

// appendSmall is bytes.ToLower without memory of its own.
func appendSmall(to, word []byte) []byte {
	for _, c := range word {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

func isScheme(name []byte) bool {
	switch string(name) {
	case "bearer", "basic", "token", "apikey", "negotiate":
		return true
	}
	return false
}

// gap takes in what stands between words: a header ends with its line.
func (b *context) gap(c byte) {
	if c == '\n' {
		*b = context{key: b.below}
	}
}

// secret is what of a word is a secret because of what was before. "Bearer" alone is a word of prose too, as --password is:
// what follows it there has no digits, and not such a length.
func (b *context) secret(word []byte) (span, bool) {
	if *b == (context{}) {
		return span{}, false
	}
	n, digits := 0, 0
	for n < len(word) && isTokenByte(word[n]) {
		if word[n] >= '0' && word[n] <= '9' {
			digits++
		}
		n++
	}
	switch {
	case b.key && n == 64, b.token && b.header && n >= 6, (b.token || b.encoded) && n >= 16 && digits > 0, b.auth && isPair(word[:n]):
		return span{0, n}, true
	case b.password && len(word) >= minSecret && digits > 0 && word[0] != '$':
		return span{0, len(word)}, true
	case b.curl:
		return b.ofUser(word)
	}
	return span{}, false
}

// isPair says whether this is user:password in base64.
func isPair(word []byte) bool {
	pair := make([]byte, base64.StdEncoding.DecodedLen(len(word)))
	n, err := base64.StdEncoding.Decode(pair, word) //nolint:forbidigo // looked at, and shown nowhere
	return err == nil && bytes.IndexByte(pair[:n], ':') > 0
}

// ofUser finds the password of curl's -u admin:password, --user=admin:password or -uadmin:password.
func (b *context) ofUser(word []byte) (span, bool) {
	if !b.user && !bytes.HasPrefix(word, []byte("-u")) && !bytes.HasPrefix(word, []byte("--user=")) {
		return span{}, false
	}
	from := bytes.IndexByte(word, ':') + 1
	return span{from, len(word)}, from > 0 && from < len(word) && word[from] != '$'
}

// isTokenByte says what a token of RFC 6750 consists of.
func isTokenByte(c byte) bool {
	return isLetter(c) || c == '-' || c == '.' || c == '_' || c == '~' || c == '+' || c == '/' || c == '='
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
