package main

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the picture, in pixels. A letter of 12px sans-serif is about 7 wide.
const (
	svgLetter = 7
	svgLine   = 16
	svgPad    = 12
	svgGapX   = 28
	svgGapY   = 44
)

// svg draws by itself: boxes in layers from top to bottom, each below all that it waits for.
func (d drawing) svg() string {
	spots, width, height := d.layout()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(d.title))
	b.WriteString(`<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#667"/></marker></defs>` + "\n")
	for _, a := range d.arrows {
		from, to := spots[a[0]], spots[a[1]]
		x1, y1, x2, y2 := from.x+from.w/2, from.y+from.h, to.x+to.w/2, to.y
		mid := (y1 + y2) / 2
		fmt.Fprintf(&b, `<path d="M%d %dC%d %d %d %d %d %d" fill="none" stroke="#667" marker-end="url(#tip)"/>`+"\n", x1, y1, x1, mid, x2, mid, x2, y2)
	}
	for i, p := range spots {
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="#eef3fb" stroke="#456"/>`+"\n", p.x, p.y, p.w, p.h)
		for l, text := range d.boxes[i].texts(false) {
			fill := "#123"
			if l > 0 {
				fill = "#567"
			}
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="%s">%s</text>`+"\n", p.x+p.w/2, p.y+svgPad+svgLine*l+10, fill, html.EscapeString(text))
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

type spot struct{ x, y, w, h int }

// layout gives every box its place: the layer is the longest way to it, the order within that of the plan.
func (d drawing) layout() (spots []spot, width, height int) {
	layer := make([]int, len(d.boxes))
	for i := range d.boxes { // arrows point forward, so every box before i has its layer
		for _, a := range d.arrows {
			if a[1] == i {
				layer[i] = max(layer[i], layer[a[0]]+1)
			}
		}
	}
	spots = make([]spot, len(d.boxes))
	rows := map[int][]int{}
	for i, b := range d.boxes {
		for _, text := range b.texts(false) {
			spots[i].w = max(spots[i].w, len([]rune(text))*svgLetter+2*svgPad)
			spots[i].h += svgLine
		}
		spots[i].h += svgPad
		rows[layer[i]] = append(rows[layer[i]], i)
	}
	rowWidth := func(row []int) int {
		w := (len(row) - 1) * svgGapX
		for _, i := range row {
			w += spots[i].w
		}
		return w
	}
	for l := range len(rows) {
		width = max(width, rowWidth(rows[l])+2*svgPad)
	}
	height = svgPad
	for l := range len(rows) {
		x, tall := (width-rowWidth(rows[l]))/2, 0
		for _, i := range rows[l] {
			spots[i].x, spots[i].y = x, height
			x += spots[i].w + svgGapX
			tall = max(tall, spots[i].h)
		}
		height += tall + svgGapY
	}
	return spots, width, height - svgGapY + svgPad
}
