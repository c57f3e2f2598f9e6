package spec

import (
	"math"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Dev returns the specification of a development network of one member with
// secret key number 1 for both curves. Its target, Bitcoin's regtest limit, is
// met by every second hash and never changes.
func Dev() *Chain {
	c := preset()
	c.SlotDuration = 1000
	c.ChainID = 262144
	c.Bits = 0x207fffff
	c.MaxBlocksWithoutPow = 200
	c.BitcoinStartHeight = 0
	c.Confirmations = 2
	c.Retarget.NoRetargeting = true
	c.Exceptions = Exceptions{
		OlderSlotDuration: aura.OlderSlotDuration,
		MinPegoutSatoshi:  LegacyExceptions().MinPegoutSatoshi,
	}
	c.Authorities = []aura.PublicKey{aura.DevKey(1).PublicKey()}
	c.Federation = []common.Address{common.HexToAddress("0x000000000000000000000000000000000000fee0")}
	_, key := btcec.PrivKeyFromBytes([]byte{1})
	c.FederationKeys = [][33]byte{[33]byte(key.SerializeCompressed())}
	return c
}

// Shipped returns what is known of the running network's specification: all but
// the keys and addresses of its members. The three lists are empty, so that
// [Chain.Validate] refuses it until they are filled in. (consensus.md C1)
func Shipped() *Chain {
	c := preset()
	c.SlotDuration = 5000
	c.Bits = 0x1d00ffff
	c.ChainID = 727272
	return c
}

// preset returns what legacy takes for missing keys. (consensus.md C1)
func preset() *Chain {
	return &Chain{
		SlotDuration:        4000,
		Bits:                505794034,
		ChainID:             121212,
		MaxBlocksWithoutPow: 50000,
		BitcoinStartHeight:  95800,
		Retarget:            Retarget{TargetTimespan: 60, TargetSpacing: 5, MaxAdjustment: 20},
		IsValidator:         true,
		Confirmations:       144,
		Exceptions:          LegacyExceptions(),
	}
}

// Interval returns after how many blocks the target may change, and refuses
// parameters by which a retarget would divide by zero. It is not defined for a
// chain without retargeting. (consensus.md C9)
func (r Retarget) Interval() (uint64, error) {
	if r.TargetSpacing == 0 || r.TargetTimespan < r.TargetSpacing {
		return 0, fault.New(fault.Invalid,
			"chain spec: retargetParams: powTargetTimespan %d / powTargetSpacing %d is not an interval of at least one block; set both or powNoRetargeting",
			r.TargetTimespan, r.TargetSpacing)
	}
	return r.TargetTimespan / r.TargetSpacing, nil
}

// Validate refuses a specification no node can work with. The error is graded
// Invalid and names key and value.
func (c *Chain) Validate() error {
	refuse := func(key string, value any, want string) error {
		return fault.New(fault.Invalid, "chain spec: %s is %v, want %s; correct the chain spec file", key, value, want)
	}
	switch {
	case c.SlotDuration == 0 || c.SlotDuration > math.MaxInt32:
		return refuse("slotDuration", c.SlotDuration, "1 to 2147483647 milliseconds")
	case c.Bits&0xffffff == 0 || c.Bits&0x800000 != 0:
		return refuse("bits", c.Bits, "a compact target above zero")
	case c.MaxBlocksWithoutPow == 0:
		return refuse("maxBlocksWithoutPow", 0, "at least one block")
	case len(c.Federation) == 0:
		return refuse("federation", "empty", "at least one fee address")
	case len(c.FederationKeys) == 0:
		return refuse("federationBitcoinPubkeys", "empty", "at least one key")
	case c.Confirmations > math.MaxUint16:
		return refuse("requiredBtcTxnConfirmations", c.Confirmations, "0 to 65535")
	}
	if !c.Retarget.NoRetargeting {
		if _, err := c.Retarget.Interval(); err != nil {
			return err
		}
	}
	if _, err := aura.NewCommittee(c.Authorities); err != nil {
		return fault.Wrap(fault.Invalid, err, "chain spec: authorities")
	}
	return c.checkFederationKeys()
}

func (c *Chain) checkFederationKeys() error {
	seen := make(map[[32]byte]int, len(c.FederationKeys))
	for i, key := range c.FederationKeys {
		if _, err := btcec.ParsePubKey(key[:]); err != nil {
			return fault.New(fault.Invalid, "chain spec: federationBitcoinPubkeys[%d] %x: %w; correct the chain spec file", i, key, err)
		}
		// The deposit script drops the parity, so both keys of one x would be
		// one signer counted twice. (peg.md A2)
		x := [32]byte(key[1:])
		if first, again := seen[x]; again {
			return fault.New(fault.Invalid, "chain spec: federationBitcoinPubkeys[%d] %x is the signer of [%d]; correct the chain spec file", i, key, first)
		}
		seen[x] = i
	}
	return nil
}
