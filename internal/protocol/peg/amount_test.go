package peg

import (
	"math"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func TestParseAmount(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "0.0": 0, "0.00000001": 1, "1": 1e8, "0.01": 1_000_000, "00001.5": 150_000_000,
		"20999999.99999999": 2_099_999_999_999_999, "21000000": btcutil.MaxSatoshi, "21000000.00000000": btcutil.MaxSatoshi,
	} {
		if got, err := ParseAmount(text); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", ".", "1.", ".5", "-1", "+1", "1e8", "0x10", " 1", "1 ", "1,5", "1.5.5", "1_000", "٣", "NaN", "Inf",
		"0.000000001", "0.000000000", "21000000.00000001", "21000001", "184467440737.09551616", strings.Repeat("9", 100_000), "0." + strings.Repeat("0", 100_000),
	} {
		if got, err := ParseAmount(text); !fault.Is(err, fault.Invalid) || len(err.Error()) > 200 {
			t.Errorf("%.40q: %d, %v", text, got, err)
		}
	}
}

func TestFormatAmount(t *testing.T) {
	for satoshi, want := range map[uint64]string{0: "0.00000000", 1: "0.00000001", 123_456_789: "1.23456789", math.MaxUint64: "184467440737.09551615"} {
		if got := FormatAmount(satoshi); got != want {
			t.Errorf("%d: %s, want %s", satoshi, got, want)
		}
	}
	if got := Wei(math.MaxUint64).String(); got != "184467440737095516150000000000" {
		t.Errorf("wei: %s", got)
	}
}

// What is read is written again as the same amount.
func FuzzParseAmount(f *testing.F) {
	for _, text := range []string{"0.01", "21000000", "1.", "0.000000001", "-1", "999999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		satoshi, err := ParseAmount(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: grade %v", text, fault.Of(err))
			}
			return
		}
		if again, err := ParseAmount(FormatAmount(satoshi)); err != nil || again != satoshi || satoshi > btcutil.MaxSatoshi {
			t.Fatalf("%q is %d, written %s, read %d, %v", text, satoshi, FormatAmount(satoshi), again, err)
		}
	})
}
