package preflight

// A batch is what is of one kind.
type batch[K comparable, V any] struct {
	kind K
	all  []V
}

// batches puts what is of one kind together, in the order in which the kinds come first; what is of none is left out.
func batches[K comparable, V any](all []V, kindOf func(V) (kind K, is bool)) (found []batch[K, V]) {
	at := map[K]int{}
	for _, v := range all {
		kind, is := kindOf(v)
		if !is {
			continue
		}
		i, known := at[kind]
		if !known {
			i = len(found)
			at[kind], found = i, append(found, batch[K, V]{kind: kind})
		}
		found[i].all = append(found[i].all, v)
	}
	return found
}
