package main

import (
	"fmt"
	"image/color"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"upgrader.dev/upgrader/engine"
)

// A style is how text is dressed. Nothing is told by colour alone: every mark differs by shape, every row has a word.
type style struct {
	colour bool
	ascii  bool // no mark beyond ASCII
}

// mark is the sign before a step in this state.
func (s style) mark(state string) string {
	sign, plain, c := "·", "-", color.Color(lipgloss.BrightBlack)
	switch state {
	case engine.Done:
		sign, plain, c = "✓", "+", lipgloss.Green
	case engine.Skipped:
		sign, plain = "○", "o"
	case engine.Failed, engine.Refused:
		sign, plain, c = "✗", "x", lipgloss.Red
	case engine.Running:
		sign, plain, c = "▶", ">", lipgloss.Cyan
	case engine.Waiting, engine.Paused:
		sign, plain, c = "…", "~", lipgloss.Yellow
	}
	if s.ascii {
		sign = plain
	}
	return s.paint(c, sign)
}

func (s style) arrow() string {
	if s.ascii {
		return "->"
	}
	return "→"
}

func (s style) paint(c color.Color, text string) string {
	if !s.colour {
		return text
	}
	return lipgloss.NewStyle().Foreground(c).Render(text)
}

func (s style) bold(text string) string {
	if !s.colour {
		return text
	}
	return lipgloss.NewStyle().Bold(true).Render(text)
}

func (s style) faint(text string) string { return s.paint(lipgloss.BrightBlack, text) }

// cut shortens text to so many columns, and says by an ellipsis that it did.
func (s style) cut(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	dots := "…"
	if s.ascii {
		dots = "..."
	}
	room := width - lipgloss.Width(dots)
	if room <= 0 {
		return lipgloss.NewStyle().MaxWidth(max(width, 0)).Render(text)
	}
	return lipgloss.NewStyle().MaxWidth(room).Render(text) + dots
}

// pad fills text up to so many columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
}

// columns lays rows out in columns as wide as their widest cell; the last one is as long as it likes.
func columns(rows [][]string) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	lines := make([]string, len(rows))
	for r, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = pad(cell, widths[i])
		}
		lines[r] = strings.TrimRight(strings.Join(cells, "  "), " ")
	}
	return lines
}

// spell writes a span of time as a clock does: 0:34, 12:05, 1:02:03.
func spell(d time.Duration) string {
	s := int(max(d, 0) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// took writes how long something lasted: 0.4s, 7.2s, 0:34.
func took(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", max(d, 0).Seconds())
	}
	return spell(d)
}

// count writes a number with its noun: 1 host, 2 hosts.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
