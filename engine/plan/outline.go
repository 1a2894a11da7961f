package plan

import (
	"fmt"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// Outline makes the step of a node as far as it can be known before the run: for who asks what a plan wants, and never to be observed.
// Its settings are decoded as Bind decodes them. One that still holds an expression has its zero value, never its default, and
// so do the fields inside one and the entries of maps; items of lists that hold one are left out. Nothing is validated, since what is open
// may be what makes it valid. A node that never runs was given no settings: its step has the defaults.
func Outline(c *engine.Catalog, n *engine.Node) (engine.Step, error) {
	kind, err := kindOf(c, n)
	if err != nil {
		return nil, err
	}
	with, err := settingsOf(n)
	if err != nil {
		return nil, err
	}
	step := kind.New()
	if err := decodeKnown(with, step); err != nil && n.When != engine.Never {
		return nil, fmt.Errorf("%s: %w", n.ID, err)
	}
	return step, nil
}

// decodeKnown decodes the settings that hold no expression.
func decodeKnown(with *document.Value, step engine.Step) error {
	return with.Decode(step, document.Hooks{Expression: func(*document.Value, document.Field) {}})
}

// kindOf is the kind of a node.
func kindOf(c *engine.Catalog, n *engine.Node) (engine.Kind, error) {
	kind, ok := c.Lookup(n.Kind)
	if !ok {
		return kind, fmt.Errorf("%s: this program has no kind %q", n.ID, n.Kind)
	}
	return kind, nil
}

// settingsOf are the settings of a node as they were expanded; what depends on the run is still an expression in them.
func settingsOf(n *engine.Node) (*document.Value, error) {
	tree := n.With
	if tree == nil {
		tree = map[string]any{}
	}
	with, err := document.NewValue(document.Pos{}, tree)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.ID, err)
	}
	return with, nil
}

// Open are the settings of a node that only the run can tell, in alphabetical order: an expression is left in them.
func Open(n *engine.Node) (open []string) {
	with, err := settingsOf(n)
	if err != nil {
		return sortedKeys(n.With) // whatever they are, they are not known
	}
	for _, m := range with.Members {
		if hasExpression(m.Value) {
			open = append(open, m.Key)
		}
	}
	return open
}
