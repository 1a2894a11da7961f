package engine

import (
	"fmt"
	"slices"
	"strings"
)

// A Catalog is the list of kinds that a plan may use, by name. It is a value; nothing registers itself.
type Catalog struct {
	kinds  []Kind
	checks []Check
}

// NewCatalog lists the kinds in alphabetical order. Two of one name, or one without New, are a programmer's error.
func NewCatalog(kinds ...Kind) (*Catalog, error) {
	sorted := slices.SortedFunc(slices.Values(kinds), func(a, b Kind) int { return strings.Compare(a.Name, b.Name) })
	for i, k := range sorted {
		if k.New == nil || k.Name == "" || (k.Scope != OnHost && k.Scope != OnCluster) {
			return nil, fmt.Errorf("kind %q is incomplete", k.Name)
		}
		if i > 0 && sorted[i-1].Name == k.Name {
			return nil, fmt.Errorf("two kinds are called %q", k.Name)
		}
	}
	return &Catalog{kinds: sorted}, nil
}

// Lookup finds a kind by its name.
func (c *Catalog) Lookup(name string) (Kind, bool) {
	i, ok := slices.BinarySearchFunc(c.kinds, name, func(k Kind, n string) int { return strings.Compare(k.Name, n) })
	if !ok {
		return Kind{}, false
	}
	return c.kinds[i], true
}

// Kinds returns every kind, in alphabetical order.
func (c *Catalog) Kinds() []Kind { return slices.Clone(c.kinds) }
