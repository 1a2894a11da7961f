package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"upgrader.dev/upgrader/engine"
)

// nodeDigest is over what a node does and where: a resume repeats nothing whose digest is unchanged. with is the JSON of
// the settings, which many nodes share. The order of the fields is part of every digest ever written.
func nodeDigest(n *engine.Node, with json.RawMessage) string {
	return digest(struct {
		Kind   string          `json:"kind"`
		Target string          `json:"target"`
		When   string          `json:"when"`
		With   json.RawMessage `json:"with"`
	}{n.Kind, n.Target.Name, n.When, with})
}

// graphDigest is over everything but the places in the plan, which move when a comment is added.
func graphDigest(g *engine.Graph) string {
	c := *g
	c.Digest = ""
	c.Nodes = slices.Clone(g.Nodes)
	for i := range c.Nodes {
		c.Nodes[i].At = ""
	}
	return digest(c)
}

// digest is the first half of the SHA-256 of canonical JSON: encoding/json sorts the keys of maps.
func digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // strings, lists and maps of them only
		return fmt.Sprintf("not digestible: %v", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:32]
}
