package gossip_test

import (
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// TestMessageID compares with the ids of everything a listening peer heard.
func TestMessageID(t *testing.T) {
	for _, chain := range []string{"single", "fed3"} {
		lines, err := vectors.Lines(filepath.Join(vectors.Dir(legacyDir), "chains", chain), "gossip")
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range lines {
			var v struct{ Data, ID string }
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			data, err := hex.DecodeString(v.Data)
			if err != nil {
				t.Fatal(err)
			}
			if got := gossip.MessageID(data); got != v.ID {
				t.Fatalf("%s line %d: %s, heard as %s", chain, i+1, got, v.ID)
			}
		}
		t.Logf("%s: %d messages", chain, len(lines))
	}
}

func BenchmarkMessageID(b *testing.B) {
	data := make([]byte, 4096)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		gossip.MessageID(data)
	}
}
