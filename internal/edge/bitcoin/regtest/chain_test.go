package regtest

import (
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/nodetest"
)

func open(t testing.TB, dir string) *Chain {
	t.Helper()
	c, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestConformance(t *testing.T) {
	start := time.Now()
	c := open(t, t.TempDir())
	t.Logf("first opening: %v", time.Since(start).Round(time.Millisecond))
	nodetest.Run(t, c, c)
}
