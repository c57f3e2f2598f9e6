package bootnode_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/bootnode"
)

// TestSpellings reads one list in legacy's three spellings.
func TestSpellings(t *testing.T) {
	want := []string{"/ip4/192.0.2.1/tcp/55444", "/ip4/192.0.2.2/udp/55444/quic-v1", "/ip6/2001:db8::1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp", "/dns4/a.example/tcp/2"}
	for _, separator := range []string{",", " ", "", ", ", "\n", ",,", "\t\r\n"} {
		for _, ends := range []string{"", separator} {
			if got := bootnode.Split(ends + strings.Join(want, separator) + ends); !slices.Equal(got, want) {
				t.Errorf("separated by %q: %q", separator, got)
			}
		}
	}
	if got := bootnode.Split(" , "); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
	if got := bootnode.Split("host:55444"); !slices.Equal(got, []string{"host:55444"}) {
		t.Errorf("what is no address is lost: %q", got)
	}
}

// FuzzSplit holds that only separators are lost, and that splitting again changes
// nothing.
func FuzzSplit(f *testing.F) {
	f.Add("/ip4/192.0.2.1/tcp/55444/ip4/192.0.2.2/tcp/55444,/dns/a/tcp/1 x")
	f.Fuzz(func(t *testing.T, list string) {
		parts := bootnode.Split(list)
		without := strings.NewReplacer(",", "", " ", "", "\t", "", "\n", "", "\r", "").Replace(list)
		if got := strings.Join(parts, ""); got != without {
			t.Fatalf("%q became %q", list, parts)
		}
		if again := bootnode.Split(strings.Join(parts, ",")); !slices.Equal(again, parts) {
			t.Fatalf("%q, again %q", parts, again)
		}
	})
}
