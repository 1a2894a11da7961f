//go:build linux

package cluster

import (
	"context"
	"fmt"
)

// writeOutputs writes what the lab is used with: the inventory and the administrator's kubeconfig.
func (l *Lab) writeOutputs(ctx context.Context) error {
	inventory, err := l.inventory()
	if err != nil {
		return err
	}
	if err := replace(l.Inventory(), inventory, 0o644); err != nil {
		return err
	}
	config, err := output(l.SSH(ctx, first, "cat /etc/kubernetes/admin.conf"))
	if err != nil {
		return fmt.Errorf("fetching the kubeconfig from %s: %w", first, err)
	}
	return replace(l.Kubeconfig(), []byte(config+"\n"), 0o600)
}

func (p Plan) inventory() ([]byte, error) { return fill("inventory.yaml", p) }
