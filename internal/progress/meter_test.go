package progress

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

func TestLine(t *testing.T) {
	m := newMeter(at(0), 384_331)
	for i := 1; i <= 20; i++ {
		m.set(Update{Done: 384_331 + uint64(i)*41_000, Total: 9_870_112, Height: 88120}, at(float64(i)))
		m.tick(at(float64(i)))
	}
	const want = "replay seq=1,204,331/9,870,112 12.2% height=88120 rate=41k/s window=20s left≈3m31s"
	if got := m.state(at(20)).line("replay", "seq"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLines(t *testing.T) {
	tests := []struct {
		name string
		from uint64
		u    Update
		now  float64
		want string
	}{
		{"start", 0, Update{Total: 1000}, 0, "x done=0/1,000 0.0%"},
		{"no total", 0, Update{Done: 1500}, 3, "x done=1,500 rate=500/s window=3s"},
		{"resumed", 1000, Update{Done: 1030, Total: 1090}, 3, "x done=1,030/1,090 94.4% rate=10/s window=3s left≈6s"},
		{"stalled", 0, Update{Total: 10}, 5, "x done=0/10 0.0% rate=0/s window=5s"},
		{"slow", 0, Update{Done: 1, Total: 3}, 4, "x done=1/3 33.3% rate=0.2/s window=4s left≈8s"},
		{"never whole too early", 0, Update{Done: 9999, Total: 10000}, 10, "x done=9,999/10,000 99.9% rate=1.0k/s window=10s left≈0s"},
		{"end", 0, Update{Done: 10, Total: 10, Bytes: 5 << 20}, 10, "x done=10/10 100.0% bytes=5.0MiB rate=1/s window=10s left≈0s"},
		{"beyond the end", 0, Update{Done: 11, Total: 10}, 11, "x done=11/10 100.0% rate=1/s window=11s left≈0s"},
		{"no end in sight", 0, Update{Done: 1, Total: math.MaxUint64}, 1, "x done=1/18,446,744,073,709,551,615 0.0% rate=1/s window=1s"},
		{"clock went back", 0, Update{Done: 5, Total: 10}, -5, "x done=5/10 50.0%"},
	}
	for _, tt := range tests {
		m := newMeter(at(0), tt.from)
		m.set(tt.u, at(tt.now))
		if got := m.state(at(tt.now)).line("x", "done"); got != tt.want {
			t.Errorf("%s:\n got  %s\n want %s", tt.name, got, tt.want)
		}
	}
}

// TestWindow: the rate follows the last minute, not the whole job.
func TestWindow(t *testing.T) {
	m := newMeter(at(0), 0)
	var done uint64
	for i := 1; i <= 300; i++ {
		if i <= 200 {
			done += 100
		} else {
			done += 10
		}
		m.set(Update{Done: done, Total: done + 1000}, at(float64(i)))
		m.tick(at(float64(i)))
	}
	if s := m.state(at(300)); s.rate != 10 || s.left != 100*time.Second || s.span != window {
		t.Errorf("rate %v over %v, left %v; want 10/s over a minute, 100 s", s.rate, s.span, s.left)
	}
	if s := m.whole(at(300)); s.rate != 70 {
		t.Errorf("rate of the whole job %v, want 70", s.rate)
	}
	m.set(Update{Done: 5, Total: 50}, at(301)) // a second pass
	if s := m.state(at(302)); s.rate != 0 || s.span != time.Second {
		t.Errorf("second pass: rate %v over %v", s.rate, s.span)
	}
}

func TestTexts(t *testing.T) {
	for rate, want := range map[float64]string{
		0: "0", 0.31: "0.3", 3: "3", 9.96: "10", 41: "41", 999.4: "999", 999.6: "1.0k", 4123: "4.1k", 41234: "41k",
		1.2e6: "1.2M", 7e9: "7.0G", 2e15: "2000T",
	} {
		if got := short(rate); got != want {
			t.Errorf("short(%v) = %s, want %s", rate, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0.4s", 20 * time.Second: "20s", 200 * time.Second: "3m20s",
		5*time.Hour + 3*time.Minute: "5h3m", 52 * time.Hour: "2d4h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0B", 1023: "1023B", 1024: "1.0KiB", 1<<20 - 1: "1.0MiB", math.MaxInt64: "8.0EiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %s, want %s", n, got, want)
		}
	}
}

// TestMeterProperties: whatever happens, memory stays bounded and the figures
// stay in their ranges.
func TestMeterProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := epoch
		m := newMeter(now, rapid.Uint64().Draw(t, "from"))
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(time.Second), int64(90*time.Second)).Draw(t, "time")))
			if rapid.Bool().Draw(t, "set") {
				m.set(Update{Done: rapid.Uint64().Draw(t, "done"), Total: rapid.Uint64().Draw(t, "total")}, now)
			}
			m.tick(now)
			s := m.state(now)
			if len(m.ring) > int(window/sampling)+2 {
				t.Fatalf("%d samples", len(m.ring))
			}
			if s.rate < 0 || math.IsNaN(s.rate) || math.IsInf(s.rate, 0) || s.percent > 100 || s.left < -1 || s.span > window || s.span < 0 {
				t.Fatalf("%+v", s)
			}
			if s.percent == 100 && s.Done < s.Total {
				t.Fatalf("whole too early: %+v", s)
			}
			_ = s.line("x", "y") + s.summary("x", "y", 0)
		}
	})
}
