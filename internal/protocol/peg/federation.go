package peg

import (
	"encoding/hex"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// MaxKeys bounds the federation. With more, the number of witness items takes
// three bytes and legacy's weight figure is no longer the true one.
const MaxKeys = 250

// numsX is the x coordinate nobody knows the logarithm of, the example of
// BIP 341, "Constructing and spending Taproot outputs".
const numsX = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"

// Federation is what follows from a list of federation keys. It is read-only.
type Federation struct {
	Keys         [][33]byte // compressed keys, in chain-spec order
	Threshold    int        // signatures a spend needs
	Script       []byte     // the tapscript
	ControlBlock []byte     // 33 bytes: leaf version and parity, internal key
	ScriptPubKey []byte     // 34 bytes: OP_1 and the output key
	OutputKey    [32]byte   // x-only
	// SatisfactionWeight is the weight legacy's wallet counts for spending one
	// deposit, in weight units; it contains the input's base weight already.
	SatisfactionWeight int

	parsed []*btcec.PublicKey // Keys without their parity, which signatures drop
}

// NewFederation derives the deposit script of 1 to [MaxKeys] compressed keys. The
// order of the keys matters. (peg.md A2)
func NewFederation(keys [][33]byte) (*Federation, error) {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return nil, fault.New(fault.Invalid, "federation of %d keys, want 1 to %d; check federationBitcoinPubkeys of the chain spec", len(keys), MaxKeys)
	}
	f := &Federation{Keys: append([][33]byte(nil), keys...), Threshold: aura.Quorum(len(keys))}
	builder := txscript.NewScriptBuilder()
	for i, key := range keys {
		if _, err := btcec.ParsePubKey(key[:]); err != nil {
			return nil, fault.New(fault.Invalid, "federation key %d %x: %w; check federationBitcoinPubkeys of the chain spec", i, key, err)
		}
		even, err := schnorr.ParsePubKey(key[1:])
		if err != nil {
			return nil, fault.New(fault.Invalid, "federation key %d %x: %w; check federationBitcoinPubkeys of the chain spec", i, key, err)
		}
		f.parsed = append(f.parsed, even)
		builder.AddData(key[1:])
		if i == 0 {
			builder.AddOp(txscript.OP_CHECKSIG)
		} else {
			builder.AddOp(txscript.OP_CHECKSIGADD)
		}
	}
	builder.AddInt64(int64(f.Threshold)).AddOp(txscript.OP_GREATERTHANOREQUAL)
	script, err := builder.Script()
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "federation script")
	}
	f.Script = script
	return f, f.taproot()
}

// taproot fills in what follows from the script.
func (f *Federation) taproot() error {
	x, err := hex.DecodeString(numsX)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "internal key")
	}
	internal, err := schnorr.ParsePubKey(x)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "internal key")
	}
	tree := txscript.AssembleTaprootScriptTree(txscript.NewBaseTapLeaf(f.Script))
	control := tree.LeafMerkleProofs[0].ToControlBlock(internal)
	if f.ControlBlock, err = control.ToBytes(); err != nil {
		return fault.Wrap(fault.Invalid, err, "federation control block")
	}
	root := tree.RootNode.TapHash()
	output := txscript.ComputeTaprootOutputKey(internal, root[:])
	copy(f.OutputKey[:], schnorr.SerializePubKey(output))
	if f.ScriptPubKey, err = txscript.PayToTaprootScript(output); err != nil {
		return fault.Wrap(fault.Invalid, err, "federation script public key")
	}
	f.SatisfactionWeight = 164 + f.witnessSize()
	return nil
}

// witnessSize is the serialized witness of a spend: the number of items, t
// signatures of 64 bytes, empty slots for the other keys, script and control
// block, each with its length. (peg.md A2.7)
func (f *Federation) witnessSize() int {
	n := len(f.Keys)
	return 1 + 65*f.Threshold + (n - f.Threshold) + 34 +
		wire.VarIntSerializeSize(uint64(len(f.Script))) + len(f.Script)
}

// Address returns the deposit address on a Bitcoin network, bech32m.
func (f *Federation) Address(net *chaincfg.Params) (string, error) {
	address, err := btcutil.NewAddressTaproot(f.OutputKey[:], net)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "federation address on "+net.Name)
	}
	return address.EncodeAddress(), nil
}
