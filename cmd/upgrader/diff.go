package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
)

// pendingDiff tells in which of the steps that are still to be done two graphs differ. What was done does not matter any
// more. Steps that change in the same way on many hosts are told once.
func pendingDiff(old, edited *engine.Graph, summary engine.Summary) []string {
	settled := map[string]bool{}
	for _, n := range summary.Nodes {
		settled[n.ID] = n.State == engine.Done || n.State == engine.Skipped
	}
	d := differences{hosts: map[string][]string{}}
	was, is := old.Index(), edited.Index()
	for i := range old.Nodes {
		n := &old.Nodes[i]
		if settled[n.ID] {
			continue
		}
		j, there := is.Node(n.ID)
		if !there {
			d.add("- "+n.Step+" ("+n.Kind+")", n.Target.Name)
			continue
		}
		if changes := changedNode(n, &edited.Nodes[j], was, is); len(changes) > 0 {
			d.add("~ "+n.Step+"\n    "+strings.Join(changes, "\n    "), n.Target.Name)
		}
	}
	for i := range edited.Nodes {
		n := &edited.Nodes[i]
		if _, there := was.Node(n.ID); !there {
			d.add("+ "+n.Step+" ("+n.Kind+")", n.Target.Name)
		}
	}
	for _, g := range edited.Groups {
		for _, was := range old.Groups {
			if changes := changed(was, g); was.ID == g.ID && len(changes) > 0 {
				d.add("~ rollout "+g.ID+"\n    "+strings.Join(changes, "\n    "), "")
			}
		}
	}
	if len(d.texts) == 0 {
		return []string{"  no difference: only steps that were done already, or the hosts of others, have changed"}
	}
	return d.lines()
}

// differences collects texts in their order, and the hosts that each is about.
type differences struct {
	texts []string
	hosts map[string][]string
}

func (d *differences) add(text, host string) {
	if _, known := d.hosts[text]; !known {
		d.texts = append(d.texts, text)
	}
	d.hosts[text] = append(d.hosts[text], host)
}

func (d *differences) lines() []string {
	var lines []string
	for _, text := range d.texts {
		first, rest, more := strings.Cut(text, "\n")
		if hosts := hostsWords(d.hosts[text]); hosts != "" {
			first += " on " + hosts
		}
		lines = append(lines, "  "+first)
		if more {
			for _, l := range strings.Split(rest, "\n") {
				lines = append(lines, "  "+l)
			}
		}
	}
	return lines
}

// changedNode lists the fields in which a node differs. A need that is called otherwise now but comes to the same nodes,
// as in a graph that an older program wrote, is no difference.
func changedNode(old, edited *engine.Node, was, is *engine.Index) []string {
	now := *edited
	if !slices.Equal(old.Needs, now.Needs) && slices.Equal(was.Names(old.Needs), is.Names(now.Needs)) {
		now.Needs = old.Needs
	}
	if old.Same(&now) && slices.Equal(old.Needs, now.Needs) {
		return nil
	}
	return changed(old, now)
}

// changed lists the fields in which two values differ, as "with.timeout: 15m -> 30m".
func changed(old, edited any) []string {
	a, b := flat(old), flat(edited)
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		was, had := a[k]
		is, has := b[k]
		switch {
		case k == "digest" || k == "at" || was == is:
		case !had:
			lines = append(lines, fmt.Sprintf("%s: (none) -> %s", k, is))
		case !has:
			lines = append(lines, fmt.Sprintf("%s: %s -> (none)", k, was))
		default:
			lines = append(lines, fmt.Sprintf("%s: %s -> %s", k, was, is))
		}
	}
	return lines
}

// flat is a value as JSON has it, with a path for every leaf. Lists count as leaves.
func flat(value any) map[string]string {
	leaves := map[string]string{}
	data, err := json.Marshal(value)
	if err != nil {
		return map[string]string{"value": fmt.Sprint(value)}
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return map[string]string{"value": string(data)}
	}
	flatten("", tree, leaves)
	return leaves
}

func flatten(path string, tree map[string]any, leaves map[string]string) {
	for key, value := range tree {
		at := strings.TrimPrefix(path+"."+key, ".")
		if branch, ok := value.(map[string]any); ok {
			flatten(at, branch, leaves)
			continue
		}
		if n, ok := value.(float64); ok && slices.Contains([]string{"timeout", "retry.backoff", "retry.max", "soak"}, at) {
			leaves[at] = time.Duration(n).String() // JSON has nanoseconds, which nobody reads
			continue
		}
		data, err := json.Marshal(value)
		if err != nil {
			data = []byte(fmt.Sprint(value))
		}
		leaves[at] = strings.Trim(string(data), `"`)
	}
}
