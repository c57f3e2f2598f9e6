package spec_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

const legacyDir = "../../../testdata/legacy"

func file(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(legacyDir, "chains", name, "chain.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestLegacyFiles(t *testing.T) {
	for _, name := range []string{"single", "fed3", "crashed"} {
		c, unknown, err := spec.Parse(file(t, name))
		if err != nil || len(unknown) != 0 {
			t.Fatal(name, unknown, err)
		}
		again, unknown, err := spec.Parse(c.Encode())
		if err != nil || len(unknown) != 0 || !reflect.DeepEqual(c, again) {
			t.Errorf("%s: %+v, %v, %v", name, again, unknown, err)
		}
		if c.Exceptions != spec.LegacyExceptions() {
			t.Errorf("%s: exceptions %+v", name, c.Exceptions)
		}
	}
	c, _, err := spec.Parse(file(t, "fed3"))
	if err != nil || c.Quorum() != 2 || c.Threshold() != 2 || c.ChainID != 262146 || c.SlotDuration != 1000 ||
		c.Bits != 553713663 || c.MaxBlocksWithoutPow != 100 || c.Confirmations != 2 || !c.IsValidator ||
		c.Retarget != (spec.Retarget{Limit: 553713663, LowerLimit: 439495319, TargetTimespan: 60, TargetSpacing: 5, MaxAdjustment: 20}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestDev(t *testing.T) {
	c := spec.Dev()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	again, unknown, err := spec.Parse(c.Encode())
	if err != nil || len(unknown) != 0 || !reflect.DeepEqual(c, again) {
		t.Errorf("%+v, %v, %v", again, unknown, err)
	}
	single, _, err := spec.Parse(file(t, "single"))
	if err != nil || c.Authorities[0] != single.Authorities[0] || c.FederationKeys[0] != single.FederationKeys[0] {
		t.Errorf("the key of number 1 is another: %v", err)
	}
}

// lists are the members without which no file is accepted.
const lists = `"authorities":["0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"],` +
	`"federation":["0x000000000000000000000000000000000000fee0"],` +
	`"federationBitcoinPubkeys":["0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"]`

// TestDefaults pins the values of consensus.md C1 for missing keys.
func TestDefaults(t *testing.T) {
	c, _, err := spec.Parse([]byte("{" + lists + "}"))
	if err != nil {
		t.Fatal(err)
	}
	if c.SlotDuration != 4000 || c.Bits != 505794034 || c.ChainID != 121212 || c.MaxBlocksWithoutPow != 50000 ||
		c.BitcoinStartHeight != 95800 || c.Confirmations != 144 ||
		c.Retarget != (spec.Retarget{TargetTimespan: 60, TargetSpacing: 5, MaxAdjustment: 20}) {
		t.Errorf("%+v", c)
	}
	c, _, err = spec.Parse([]byte("{" + lists + `,"retargetParams":{"powNoRetargeting":true}}`))
	if err != nil || c.Retarget != (spec.Retarget{NoRetargeting: true}) {
		t.Errorf("missing members of retargetParams: %+v, %v", c, err)
	}
	c, _, err = spec.Parse([]byte("{" + lists + `,"maxBlocksWithoutPow":500000000000,"exceptions":{"uncheckedProposalAt":7}}`))
	want := spec.LegacyExceptions()
	want.UncheckedProposalAt = 7
	if err != nil || c.Exceptions != want || c.MaxBlocksWithoutPow != 500_000_000_000 {
		t.Errorf("exceptions: %+v, %v", c, err)
	}
}

func TestUnknownKeys(t *testing.T) {
	data := "{" + lists + `,"zeta":1,"SlotDuration":9,"retargetParams":{"powNoRetargeting":true,"x":[]},"exceptions":{"y":{}}}`
	c, unknown, err := spec.Parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"SlotDuration", "exceptions.y", "retargetParams.x", "zeta"}
	if !reflect.DeepEqual(unknown, want) || c.SlotDuration != 4000 {
		t.Errorf("unknown %v, want %v", unknown, want)
	}
}

func TestRefused(t *testing.T) {
	replace := func(old, by string) string { return strings.Replace("{"+lists+"}", old, by, 1) }
	with := func(more string) string { return "{" + lists + "," + more + "}" }
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "not a JSON object"},
		{"list", "[]", "not a JSON object"},
		{"cut", `{"bits":1`, "EOF"},
		{"trailing", with(`"x":1`) + "{}", "white space"},
		{"no members", "{}", "federation"},
		{"slot zero", with(`"slotDuration":0`), "slotDuration is 0"},
		{"slot negative", with(`"slotDuration":-1`), "slotDuration"},
		{"slot text", with(`"slotDuration":"5"`), "slotDuration"},
		{"slot null", with(`"slotDuration":null`), "slotDuration: is null"},
		{"slot twice", with(`"slotDuration":1000,"slotDuration":2000`), "slotDuration occurs twice"},
		{"bits zero", with(`"bits":0`), "bits is 0"},
		{"bits negative", with(`"bits":545259520`), "bits is 545259520"},
		{"bits above 32 bits", with(`"bits":4294967296`), "bits"},
		{"no blocks without work", with(`"maxBlocksWithoutPow":0`), "maxBlocksWithoutPow"},
		{"spacing zero", with(`"retargetParams":{"powTargetTimespan":60}`), "powTargetTimespan 60 / powTargetSpacing 0"},
		{"interval zero", with(`"retargetParams":{"powTargetTimespan":4,"powTargetSpacing":5}`), "powTargetTimespan 4 / powTargetSpacing 5"},
		{"adjustment above 8 bits", with(`"retargetParams":{"maxPowAdjustment":256}`), "retargetParams.maxPowAdjustment"},
		{"retarget is a list", with(`"retargetParams":[]`), "not a JSON object"},
		{"confirmations", with(`"requiredBtcTxnConfirmations":65536`), "requiredBtcTxnConfirmations"},
		{"authority twice", replace(`c6bb"]`, `c6bb","0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"]`), "same key"},
		{"authority off the curve", replace("0x97f1", "0x97f2"), "0x97f2"},
		{"authority short", replace("0x97f1", "0x97"), "authorities: [0]"},
		{"authority not hex", replace("0x97f1", "0x97zz"), "authorities: [0]"},
		{"federation key off the curve", replace("0279be", "0579be"), "federationBitcoinPubkeys[0]"},
		{"federation key by parity", replace(`1798"]`, `1798","0379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"]`), "signer of [0]"},
		{"federation empty", replace(`["0x000000000000000000000000000000000000fee0"]`, "[]"), "federation is empty"},
		{"too long", strings.Repeat(" ", spec.MaxSize+1), "at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := spec.Parse([]byte(c.data))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
	many := make([]string, 16)
	for i := range many {
		many[i] = `"0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"`
	}
	if _, _, err := spec.Parse([]byte(replace(many[0], strings.Join(many, ",")))); err == nil || !strings.Contains(err.Error(), "16 authorities") {
		t.Errorf("sixteen authorities: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(file(f, "fed3"))
	f.Add(spec.Dev().Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := spec.Parse(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("grade of %v", err)
			}
			return
		}
		again, unknown, err := spec.Parse(c.Encode())
		if err != nil || len(unknown) != 0 || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v becomes %+v, %v, %v", c, again, unknown, err)
		}
	})
}

// TestShipped: the running network's values are there, and the template is no
// specification before its members' keys are in it.
func TestShipped(t *testing.T) {
	c := spec.Shipped()
	if c.ChainID != 727272 || c.SlotDuration != 5000 || c.Bits != 0x1d00ffff || c.MaxBlocksWithoutPow != 50000 || c.Confirmations != 144 ||
		c.Retarget.TargetTimespan != 60 || c.Retarget.TargetSpacing != 5 || c.Retarget.MaxAdjustment != 20 || c.Exceptions != spec.LegacyExceptions() {
		t.Errorf("%+v", c)
	}
	if err := c.Validate(); !fault.Is(err, fault.Invalid) {
		t.Errorf("the template without keys: %v", err)
	}
	dev := spec.Dev()
	c.Authorities, c.Federation, c.FederationKeys = dev.Authorities, dev.Federation, dev.FederationKeys
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
