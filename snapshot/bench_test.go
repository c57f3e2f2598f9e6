package snapshot_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/snapshot"
)

func BenchmarkWrite(b *testing.B) {
	st := numbered("chain", 100_000)
	for _, change := range []int{0, 10} {
		b.Run(fmt.Sprint("changed=", change), func(b *testing.B) {
			s, err := snapshot.Open(snapshot.Options{Dir: b.TempDir(), Keep: 2})
			if err != nil {
				b.Fatal(err)
			}
			write(b, s, 1, st)
			st := st.clone()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for j := range change {
					st["chain"][fmt.Sprintf("key/%06d", j*9999)] = fmt.Sprint("changed ", i)
				}
				write(b, s, uint64(i+2), st)
			}
			b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	s, _ := open(b, vfs.NewMem(), 2)
	m := write(b, s, 1, numbered("chain", 100_000))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Verify(m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "entries/s")
}
