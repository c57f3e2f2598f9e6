package progress

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// line is the state for a terminal.
func (s state) line(job, unit string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s=%s", job, unit, grouped(s.Done))
	if s.Total > 0 {
		fmt.Fprintf(&b, "/%s %.1f%%", grouped(s.Total), s.percent)
	}
	if s.Height > 0 {
		fmt.Fprintf(&b, " height=%d", s.Height)
	}
	if s.Bytes > 0 {
		b.WriteString(" bytes=" + bytesText(s.Bytes))
	}
	if s.span >= time.Second {
		fmt.Fprintf(&b, " rate=%s/s window=%ds", short(s.rate), int(s.span.Seconds()))
		if s.left >= 0 {
			b.WriteString(" left≈" + span(s.left))
		}
	}
	return b.String()
}

// attrs is the state for a log.
func (s state) attrs(unit string) []slog.Attr {
	a := []slog.Attr{slog.Uint64(unit, s.Done)}
	if s.Total > 0 {
		a = append(a, slog.Uint64("total", s.Total), slog.Float64("percent", s.percent))
	}
	if s.Height > 0 {
		a = append(a, slog.Uint64("height", s.Height))
	}
	if s.Bytes > 0 {
		a = append(a, slog.Int64("bytes", s.Bytes))
	}
	if s.span > 0 {
		a = append(a, slog.Float64("rate", significant(s.rate)), slog.Int64("window_seconds", int64(s.span.Seconds())))
	}
	if s.left >= 0 {
		a = append(a, slog.Int64("left_seconds", int64(math.Round(s.left.Seconds()))))
	}
	return a
}

// summary is the last line on a terminal.
func (s state) summary(job, unit string, from uint64) string {
	var b strings.Builder
	verb := "done"
	if s.Total > 0 && s.Done < s.Total {
		verb = "stopped"
	}
	fmt.Fprintf(&b, "%s %s: %s=%s", job, verb, unit, grouped(s.Done))
	if s.Total > 0 {
		fmt.Fprintf(&b, "/%s %.1f%%", grouped(s.Total), s.percent)
	}
	if s.Height > 0 {
		fmt.Fprintf(&b, " height=%d", s.Height)
	}
	if s.Bytes > 0 {
		b.WriteString(" bytes=" + bytesText(s.Bytes))
	}
	fmt.Fprintf(&b, " in %s", span(s.span))
	if s.span > 0 && s.Done > from {
		fmt.Fprintf(&b, " rate=%s/s", short(s.rate))
	}
	return b.String()
}

// grouped writes n with a comma between groups of three digits.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// short writes a rate with two or three significant digits: 0.3, 41, 950, 4.1k, 41k, 1.2M.
func short(rate float64) string {
	unit := ""
	for _, next := range []string{"k", "M", "G", "T"} {
		if rate < 999.5 {
			break
		}
		rate, unit = rate/1000, next
	}
	if rate < 9.95 && (unit != "" || rate != math.Trunc(rate)) {
		return strconv.FormatFloat(rate, 'f', 1, 64) + unit
	}
	return strconv.FormatFloat(rate, 'f', 0, 64) + unit
}

// significant cuts a rate to three digits; more would only be noise in a log.
func significant(rate float64) float64 {
	cut, err := strconv.ParseFloat(strconv.FormatFloat(rate, 'g', 3, 64), 64)
	if err != nil {
		return rate
	}
	return cut
}

func bytesText(n int64) string {
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + "B"
	}
	value, unit := float64(n), ""
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"} {
		if value < 1023.95 {
			break
		}
		value, unit = value/1024, next
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + unit
}

// span writes a time with two units at most: 0.4s, 20s, 3m20s, 5h3m, 2d4h.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Truncate(100*time.Millisecond).Seconds(), 'f', -1, 64) + "s"
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
}
