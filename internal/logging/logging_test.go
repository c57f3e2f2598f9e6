package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/logging"
)

func logger() (*slog.Logger, *logging.Levels, func() []map[string]any) {
	var out bytes.Buffer
	levels := logging.NewLevels(slog.LevelInfo)
	log := slog.New(logging.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}), levels))
	return log, levels, func() (lines []map[string]any) {
		for line := range strings.Lines(out.String()) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				panic(err)
			}
			lines = append(lines, m)
		}
		out.Reset()
		return lines
	}
}

func TestLevelsByActor(t *testing.T) {
	log, levels, lines := logger()
	say := func() string {
		log.Debug("a")
		log.Info("b")
		log.Debug("c", "actor", "engine")
		log.Info("d", "actor", "chain")
		chain := log.With("actor", "chain")
		chain.Info("e")
		chain.Warn("f")
		log.With("actor", "engine").Debug("g")
		var got string
		for _, l := range lines() {
			got += l["msg"].(string)
		}
		return got
	}
	if got := say(); got != "bdef" {
		t.Errorf("at info: %q", got)
	}
	for actor, level := range map[string]slog.Level{"engine": slog.LevelDebug, "chain": slog.LevelWarn} {
		if err := levels.Set(actor, level); err != nil {
			t.Fatal(err)
		}
	}
	if got := say(); got != "bcfg" {
		t.Errorf("by actor: %q", got)
	}
	if err := levels.Set("", slog.LevelError); err != nil {
		t.Fatal(err)
	}
	if got := say(); got != "cfg" {
		t.Errorf("all at error: %q", got)
	}
	if got := fmt.Sprint(levels.List()); got != "[{ error} {chain warn} {engine debug}]" {
		t.Error(got)
	}
}

// A line about an event has all four attributes, once.
func TestEventAttributes(t *testing.T) {
	log, levels, lines := logger()
	log.Info("early", "seq", 1)
	levels.Height(func() uint64 { return 77 })
	log.Info("bare", "seq", 2)
	log.Info("whole", "seq", 3, "actor", "chain", "height", 5, "cause", "2.0")
	log.With("seq", 4, "actor", "miner").Info("with")
	log.Info("no event", "count", 9)
	want := []string{"node 0 none", "node 77 none", "chain 5 2.0", "miner 77 none", "<nil> <nil> <nil>"}
	for i, l := range lines() {
		if got := fmt.Sprint(l["actor"], " ", l["height"], " ", l["cause"]); got != want[i] {
			t.Errorf("%v: %s, want %s", l["msg"], got, want[i])
		}
	}
}

// What an edge was sent does not get into the log as a whole.
func TestBounded(t *testing.T) {
	log, _, lines := logger()
	long := strings.Repeat("é", 5000)
	log.Info(long, "text", long, "bytes", []byte(long), "error", errors.New(long), "hash", common.Hash{1}, slog.Group("g", "text", long))
	log.With("text", long).Info("with")
	for _, l := range lines() {
		raw, _ := json.Marshal(l)
		if len(raw) > 5*logging.MaxText {
			t.Errorf("%d bytes: %.200s", len(raw), raw)
		}
		if !strings.Contains(string(raw), "(10000 bytes)") {
			t.Errorf("does not say what was cut: %.200s", raw)
		}
	}
}

func TestParseActors(t *testing.T) {
	for text, want := range map[string]string{
		"": "[]", "engine=debug": "[{engine debug}]", "engine=debug, chain=warn": "[{engine debug} {chain warn}]",
		"engine": "error", "engine=loud": "error", "=debug": "error", "engine=debug,engine=info": "error", "engine=debug,": "error", "Engine=debug": "error",
		strings.Repeat("x", 33) + "=debug": "error",
	} {
		list, err := logging.ParseActors(text)
		got := fmt.Sprint(list)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s (%v), want %s", text, got, err, want)
		}
	}
}

// Levels can be changed while lines are written, and are bounded.
func TestConcurrent(t *testing.T) {
	levels := logging.NewLevels(slog.LevelInfo)
	log := slog.New(logging.New(slog.NewJSONHandler(io.Discard, nil), levels))
	var wg sync.WaitGroup
	var refused int
	wg.Go(func() {
		for i := range 200 {
			if levels.Set(fmt.Sprintf("a%d", i), slog.LevelDebug) != nil {
				refused++
			}
		}
	})
	wg.Go(func() {
		for range 200 {
			log.Debug("x", "actor", "a1", "seq", 1)
		}
	})
	wg.Wait()
	if refused != 200-64 || len(levels.List()) != 65 {
		t.Errorf("%d refused, %d levels", refused, len(levels.List()))
	}
}

func BenchmarkDisabled(b *testing.B) {
	log := slog.New(logging.New(slog.NewJSONHandler(io.Discard, nil), logging.NewLevels(slog.LevelInfo)))
	b.ReportAllocs()
	for b.Loop() {
		log.Debug("block connected", "actor", "chain", "seq", 12)
	}
}
