package redact

// A trie finds many words in one pass: the automaton of Aho and Corasick. Its work grows with the bytes looked at and
// not with the number of words. A node has its children in a list, since all but a few have one.
type trie struct {
	nodes []node
	first [256]int32 // the root's children by their byte; 0: none
}

type node struct {
	child, sibling int32 // 0: none
	fail           int32 // the node of the longest end of this one's text that also begins a word
	depth          int32 // the length of its text
	longest        int32 // the length of the longest word that its text ends with; 0: with none
	letter         byte
}

func newTrie(words []string) *trie {
	letters := 0
	for _, w := range words {
		letters += len(w)
	}
	t := &trie{nodes: make([]node, 1, 1+letters)}
	for _, w := range words {
		t.add(w)
	}
	t.link()
	return t
}

func (t *trie) add(word string) {
	at := int32(0)
	for i := range len(word) {
		next := t.child(at, word[i])
		if next == 0 {
			next = int32(len(t.nodes)) //nolint:gosec // secrets of 2 GiB do not fit into an environment
			t.nodes = append(t.nodes, node{sibling: t.nodes[at].child, depth: t.nodes[at].depth + 1, letter: word[i]})
			t.nodes[at].child = next
			if at == 0 {
				t.first[word[i]] = next
			}
		}
		at = next
	}
	t.nodes[at].longest = t.nodes[at].depth
}

func (t *trie) child(at int32, letter byte) int32 {
	if at == 0 {
		return t.first[letter]
	}
	for n := t.nodes[at].child; n != 0; n = t.nodes[n].sibling {
		if t.nodes[n].letter == letter {
			return n
		}
	}
	return 0
}

// link fills in fail and longest, the shallow nodes first, since deeper ones rest on them.
func (t *trie) link() {
	queue := make([]int32, 0, len(t.nodes))
	for n := t.nodes[0].child; n != 0; n = t.nodes[n].sibling {
		queue = append(queue, n)
	}
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		for n := t.nodes[at].child; n != 0; n = t.nodes[n].sibling {
			fail := t.step(t.nodes[at].fail, t.nodes[n].letter)
			t.nodes[n].fail = fail
			if t.nodes[n].longest == 0 {
				t.nodes[n].longest = t.nodes[fail].longest
			}
			queue = append(queue, n)
		}
	}
}

// step is the node after one more byte.
func (t *trie) step(at int32, letter byte) int32 {
	for {
		if next := t.child(at, letter); next != 0 || at == 0 {
			return next
		}
		at = t.nodes[at].fail
	}
}
