package redact

import (
	"bytes"
	"slices"
)

// secretsIn finds the secrets that a word shows by its shape, in order.
func secretsIn(word []byte) []span {
	const shortest = 10
	if len(word) < shortest {
		return nil
	}
	var found []span
	found = append(found, joinTokens(word)...)
	found = append(found, passwords(word)...)
	found = append(found, webTokens(word)...)
	found = append(found, encodedKeys(word)...)
	found = append(found, certificateKey(word)...)
	found = append(found, assigned(word)...)
	if len(found) < 2 {
		return found
	}
	return apart(found)
}

// apart sorts and joins what overlaps.
func apart(found []span) []span {
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	joined := found[:1]
	for _, s := range found[1:] {
		if last := &joined[len(joined)-1]; s.from <= last.to {
			last.to = max(last.to, s.to)
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// The two halves of a bootstrap token: its name, and its secret.
const tokenName, tokenSecret = 6, 16

// joinTokens finds bootstrap tokens, as abcdef.0123456789abcdef, that are no part of a longer name.
func joinTokens(word []byte) []span {
	var found []span
	for i := tokenName; i+tokenSecret < len(word); i++ {
		if word[i] != '.' {
			continue
		}
		from, to := i-tokenName, i+1+tokenSecret
		if isSmall(word[from:i]) && isSmall(word[i+1:to]) && standsAlone(word, from, to) && isRandom(word[i+1:to]) {
			found = append(found, span{from, to})
		}
	}
	return found
}

// isSmall says whether all are digits and small letters.
func isSmall(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' && c < 'a' || c > 'z' })
}

// standsAlone says whether a piece of a word is no part of a host's name, a path, a version or an image.
func standsAlone(word []byte, from, to int) bool {
	joins := func(c byte) bool { return isLetter(c) || bytes.IndexByte([]byte("._-/~+@"), c) >= 0 }
	if from > 0 && joins(word[from-1]) {
		return false
	}
	sentence := to+1 == len(word) && word[to] == '.'
	return to == len(word) || sentence || !joins(word[to])
}

// isRandom tells a token's secret from words (they have no digits), from numbers, and from the names of events, which end
// in the time of the event in nanoseconds, as cp1234.17f3c0de12345678.
func isRandom(secret []byte) bool {
	digits, hex := 0, 0
	for _, c := range secret {
		if c <= '9' {
			digits++
		}
		if c <= 'f' {
			hex++
		}
	}
	event := hex == len(secret) && secret[0] == '1' && secret[1] >= '6' && secret[1] <= '9'
	return digits > 0 && digits < len(secret) && !event
}

// passwords finds those of URLs: https://user:password@host.
func passwords(word []byte) []span {
	var found []span
	for at := 0; ; {
		i := bytes.Index(word[at:], []byte("://"))
		if i < 0 {
			return found
		}
		at += i + len("://")
		authority := word[at:]
		if end := bytes.IndexAny(authority, "/?#"); end >= 0 {
			authority = authority[:end]
		}
		end := max(0, bytes.LastIndexByte(authority, '@'))
		user := authority[:end]
		if isDigest(authority[end:]) {
			continue
		}
		if colon := bytes.IndexByte(user, ':'); colon >= 0 && colon+1 < len(user) {
			found = append(found, span{at + colon + 1, at + len(user)})
		}
	}
}

// isDigest says whether this goes on as an image's name does, as in docker-pullable://nginx:1.25@sha256:0f4b4d. It is no
// host's name with a port, which has five digits at most.
func isDigest(at []byte) bool {
	const shortest = 6
	algorithm, digest, _ := bytes.Cut(at, []byte(":"))
	return bytes.HasPrefix(algorithm, []byte("@sha")) && len(digest) >= shortest && !slices.ContainsFunc(digest[:shortest], isNoHex)
}

func isNoHex(c byte) bool { return c < '0' || c > '9' && c < 'a' || c > 'f' }

// webTokens finds JSON web tokens: two or more parts of base64, the first of which begins with {".
func webTokens(word []byte) []span {
	var found []span
	for at := 0; ; {
		i := bytes.Index(word[at:], []byte("eyJ"))
		if i < 0 {
			return found
		}
		at += i
		end := at
		for end < len(word) && (isLetter(word[end]) || bytes.IndexByte([]byte("-_.="), word[end]) >= 0) {
			end++
		}
		const shortest = 8
		if dot := bytes.IndexByte(word[at:end], '.'); dot >= shortest && end-at-dot > shortest {
			found = append(found, span{at, end})
		}
		at = end
	}
}

// encodedKeys finds private keys in PEM that are encoded once more, as kubeconfig files have them.
func encodedKeys(word []byte) []span {
	begin := bytes.Index(word, []byte("LS0tLS1CRUdJTi")) // -----BEGIN
	if begin < 0 {
		return nil
	}
	for _, kind := range []string{
		"LS0tLS1CRUdJTiBQUklWQVRF",         // PRIVATE
		"LS0tLS1CRUdJTiBSU0EgUFJJVkFURS",   // RSA PRIVATE
		"LS0tLS1CRUdJTiBFQyBQUklWQVRF",     // EC PRIVATE
		"LS0tLS1CRUdJTiBEU0EgUFJJVkFURS",   // DSA PRIVATE
		"LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZB", // OPENSSH PRIVATE
		"LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJ", // ENCRYPTED PRIVATE
	} {
		if bytes.HasPrefix(word[begin:], []byte(kind)) {
			return []span{{begin, secretEnd(word, begin)}}
		}
	}
	return nil
}

// secretEnd is where the letters of a token or of base64 end.
func secretEnd(word []byte, from int) int {
	for from < len(word) && isTokenByte(word[from]) {
		from++
	}
	return from
}

// certificateKey finds the key that kubeadm encrypts the certificates with, where it is one word with its flag.
func certificateKey(word []byte) []span {
	const flag, length = "certificate-key=", 64
	i := bytes.Index(word, []byte(flag))
	if i < 0 || len(word) < i+len(flag)+length {
		return nil
	}
	from := i + len(flag)
	return []span{{from, from + length}}
}

// assigned finds what is given to a name in the same word: POSTGRES_PASSWORD=hunter2, --password=hunter2.
func assigned(word []byte) []span {
	var found []span
	for at := 0; ; {
		i := bytes.IndexByte(word[at:], '=')
		if i < 0 {
			return found
		}
		name := word[at : at+i]
		at += i + 1
		if !isSecretName(name) {
			continue
		}
		value, _, _ := bytes.Cut(word[at:], []byte("&")) // in a URL's query
		if isValue(value) {
			found = append(found, span{at, at + len(value)})
		}
		at += len(value)
	}
}

func isSecretName(name []byte) bool {
	const longest = 24
	if len(name) == 0 || bytes.IndexByte([]byte("dDyYnN"), name[len(name)-1]) < 0 {
		return false
	}
	var small [longest]byte
	name = appendSmall(small[:0], name[max(0, len(name)-longest):])
	for _, ending := range []string{"password", "passwd", "secret_access_key", "session_token"} {
		if before, ok := bytes.CutSuffix(name, []byte(ending)); ok {
			return len(before) == 0 || !isLetter(before[len(before)-1])
		}
	}
	return false
}

// isValue tells a password from what else is given to such a name: a switch, another variable, a file.
func isValue(value []byte) bool {
	if len(value) < minSecret || bytes.IndexByte([]byte("$/%*"), value[0]) >= 0 {
		return false
	}
	switch string(value) {
	case "true", "false", "none", "null", "required":
		return false
	}
	return true
}
