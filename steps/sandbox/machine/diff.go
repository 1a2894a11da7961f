package machine

import (
	"fmt"
	"slices"
	"strings"
)

// A lineEdit is a line of two texts laid side by side: kept (' '), taken out ('-') or put in ('+').
type lineEdit struct {
	kind byte
	text string
}

// edits turns one text into the other with as few changes as there can be: what is alike at the beginning and at the end
// is taken off, and the longest common sequence of the rest is kept.
func edits(a, b []string) []lineEdit {
	var head, tail []lineEdit
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		head, a, b = append(head, lineEdit{' ', a[0]}), a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail, a, b = append(tail, lineEdit{' ', a[len(a)-1]}), a[:len(a)-1], b[:len(b)-1]
	}
	slices.Reverse(tail)
	return slices.Concat(head, middle(a, b), tail)
}

// middle is the same for the parts that differ at both ends.
func middle(a, b []string) []lineEdit {
	common := make([][]int, len(a)+1) // lengths of the longest common sequences of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var all []lineEdit
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, lineEdit{' ', a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			all = append(all, lineEdit{'-', a[i]})
			i++
		default:
			all = append(all, lineEdit{'+', b[j]})
			j++
		}
	}
	return all
}

// unifiedDiff is the difference of two texts in the form of diff -u; "" is none.
func unifiedDiff(fromName, toName, from, to string, context int) string {
	all := edits(splitText(from), splitText(to))
	var b strings.Builder
	for _, h := range hunks(all, context) {
		if b.Len() == 0 {
			fmt.Fprintf(&b, "--- %s\n+++ %s\n", fromName, toName)
		}
		h.write(&b, all)
	}
	return b.String()
}

func splitText(s string) []string { return slices.Collect(strings.Lines(s)) }

// A hunk is a stretch of edits that is shown.
type hunk struct{ from, to int }

// hunks are the changes with their surroundings; those that touch are one.
func hunks(all []lineEdit, context int) []hunk {
	var list []hunk
	for i, e := range all {
		if e.kind == ' ' {
			continue
		}
		h := hunk{max(0, i-context), min(len(all), i+context+1)}
		if n := len(list); n > 0 && list[n-1].to >= h.from {
			list[n-1].to = h.to
		} else {
			list = append(list, h)
		}
	}
	return list
}

func (h hunk) write(b *strings.Builder, all []lineEdit) {
	lines := [2][2]int{} // of the old text and of the new one: before the hunk, and in it
	for i, e := range all[:h.to] {
		in := 0
		if i >= h.from {
			in = 1
		}
		if e.kind != '+' {
			lines[0][in]++
		}
		if e.kind != '-' {
			lines[1][in]++
		}
	}
	fmt.Fprintf(b, "@@ -%s +%s @@\n", lineRange(lines[0]), lineRange(lines[1]))
	for _, e := range all[h.from:h.to] {
		b.WriteByte(e.kind)
		b.WriteString(e.text)
	}
}

// lineRange is where a hunk is in a text, by the lines before it and in it: the first line and, unless it is one, their
// number. Of no lines the one before is named.
func lineRange(lines [2]int) string {
	switch lines[1] {
	case 0:
		return fmt.Sprintf("%d,0", lines[0])
	case 1:
		return fmt.Sprint(lines[0] + 1)
	}
	return fmt.Sprintf("%d,%d", lines[0]+1, lines[1])
}

// diff is kubeadm upgrade diff: what it would make of the manifests, etcd's left out.
func (k *kubeadmCall) diff(rest []string) int {
	target, st := k.target(rest)
	if st != 0 {
		return st
	}
	files := map[string]string{}
	for _, c := range components[1:] {
		flag := strings.TrimPrefix(c, "kube-") + "-manifest"
		if c == "kube-apiserver" {
			flag = "api-server-manifest"
		}
		files[c] = value(k.flags, manifestDir+"/"+c+".yaml", flag)
		if _, err := k.m.tree.stat(k.p.user, k.path(files[c]), true); err != nil {
			return k.fatal("the manifest file %q does not exist: stat %[1]s: %s", files[c], strings.ToLower(reason(err)))
		}
	}
	if st := k.admin(); st != 0 {
		return st
	}
	if !k.anyAPI() {
		return k.fatal("failed to get config map: Get \"%s/api/v1/namespaces/kube-system/configmaps/kubeadm-config?timeout=10s\": dial tcp %s:6443: connect: connection refused", k.m.endpoint(), k.m.address())
	}
	k.printf("[upgrade/diff] Reading configuration from the cluster...\n[upgrade/diff] FYI: You can look at this config file with 'kubectl -n kube-system get cm kubeadm-config -o yaml'\n")
	context := int(number(value(k.flags, "3", "c", "context-lines")))
	for _, c := range components[1:] {
		old, err := k.slurp(files[c])
		if err != nil {
			return k.fatal("open %s: %s", files[c], strings.ToLower(reason(err)))
		}
		k.printf("%s", unifiedDiff(files[c], "new manifest", string(old), k.m.manifest(c, Image(c, target.String())), context))
	}
	return 0
}
