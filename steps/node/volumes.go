package node

import (
	"context"
	"fmt"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// released are the facts about the volumes of a pod that is asked for.
func (d *drain) released(ctx context.Context, s engine.Scene, p kube.Pod) (engine.Facts, error) {
	released := engine.Facts{}
	if !d.WaitForVolumes || len(p.Claims) == 0 {
		return released, nil
	}
	volumes, err := d.cluster.VolumesOf(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		released[facts.Released(s.Target.Name, v)] = stamp(s)
	}
	return released, nil
}

// follow remembers the volumes of pods that are on their way out, by whomever they were sent.
func (d *drain) follow(ctx context.Context, pods []kube.Pod) error {
	if d.leaving == nil {
		d.leaving = map[string]bool{}
	}
	for _, p := range pods {
		if d.leaving[p.UID] || !d.WaitForVolumes || len(p.Claims) == 0 {
			continue
		}
		volumes, err := d.cluster.VolumesOf(ctx, p)
		if err != nil {
			return err
		}
		for _, v := range volumes {
			d.leaving[v] = true
		}
		d.leaving[p.UID] = true
	}
	return nil
}

// volumes waits until the volumes of pods that left are detached from the node: one still attached here cannot be used where its pod
// went. Others are not this drain's: those of pods that stay, and those that somebody else left behind.
func (d *drain) volumes(ctx context.Context, s engine.Scene, l *load) error {
	if !d.WaitForVolumes {
		return nil
	}
	attached, err := d.cluster.Attachments(ctx, s.Target.Name)
	if err != nil {
		return err
	}
	staying, err := d.staying(ctx, l, attached)
	if err != nil {
		return err
	}
	var waits []string
	for _, a := range attached {
		if !staying[a.Volume] && (d.leaving[a.Volume] || fact(s, facts.Released(a.Node, a.Volume)) == stamp(s)) {
			waits = append(waits, still(a))
		}
	}
	if len(waits) == 0 {
		return nil
	}
	return engine.NotYet("still attached to %s: %s", s.Target.Name, finding.Few(waits))
}

// staying are the volumes of pods that stay.
func (d *drain) staying(ctx context.Context, l *load, attached []kube.Attachment) (map[string]bool, error) {
	used := map[string]bool{}
	if len(attached) == 0 {
		return used, nil
	}
	for _, p := range l.stay {
		volumes, err := d.cluster.VolumesOf(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, v := range volumes {
			used[v] = true
		}
	}
	return used, nil
}

// still says who has not let go of a volume.
func still(a kube.Attachment) string {
	words := a.Volume
	if a.Attacher != "" {
		words += fmt.Sprintf(" (by %s)", a.Attacher)
	}
	if a.Error != "" {
		words += ": " + a.Error
	}
	return words
}
