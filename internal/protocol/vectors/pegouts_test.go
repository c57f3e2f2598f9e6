package vectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// pegOut has the members of all kinds of lines.
type pegOut struct {
	Kind       string    `json:"kind"`
	Case       string    `json:"case"`
	Note       string    `json:"note"`
	PublicKeys int       `json:"public_keys"`
	Deposits   []octets  `json:"deposits"`
	Requests   []request `json:"requests"`
	Result     string    `json:"result"`
	Tx         octets    `json:"tx"`

	// Kind create.
	Rate   json.Number `json:"sat_per_vb"`
	Txid   string      `json:"txid"`
	Weight int64       `json:"weight"`

	// Kind sign.
	Unsigned    octets   `json:"unsigned"`
	SigHashes   []octets `json:"sighashes"`
	SignerOrder []int    `json:"signer_order"`
	Finalized   octets   `json:"finalized"`
	Valid       bool     `json:"valid"`
	Balance     int64    `json:"balance_after"`
	Again       string   `json:"proposal_again_after_registration"`
}

func checkPegOut(line []byte) error {
	var v pegOut
	if err := read(line, &v); err != nil {
		return err
	}
	f, err := federation(v.PublicKeys)
	if err != nil {
		return err
	}
	w := wallet{federation: f, coins: make(map[wire.OutPoint]*wire.TxOut)}
	for _, raw := range v.Deposits {
		tx, err := readTx(raw)
		if err != nil {
			return err
		}
		w.register(tx)
	}
	switch v.Kind {
	case "create":
		return v.checkCreate(&w)
	case "proposal":
		return v.checkProposal(&w)
	case "sign":
		return v.checkSign(&w)
	case "witness":
		return v.checkWitness(&w)
	default:
		return fmt.Errorf("kind %q", v.Kind)
	}
}

// wallet is what the federation holds by the transactions of a line.
type wallet struct {
	federation *peg.Federation
	coins      map[wire.OutPoint]*wire.TxOut
}

func (w *wallet) register(tx *wire.MsgTx) {
	for i, out := range tx.TxOut {
		if w.federation.Owns(out.PkScript) {
			w.coins[wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}] = out
		}
	}
}

func (w *wallet) holds(p wire.OutPoint) bool { return w.coins[p] != nil }

func (w *wallet) spent(tx *wire.MsgTx) (out []*wire.TxOut, err error) {
	for i, in := range tx.TxIn {
		coin := w.coins[in.PreviousOutPoint]
		if coin == nil {
			return nil, fmt.Errorf("input %d is no deposit", i)
		}
		out = append(out, coin)
	}
	return out, nil
}

// outcome is legacy's word for an error of the peg.
func outcome(err error) (string, error) {
	var defect peg.Defect
	if err == nil {
		return "ok", nil
	}
	if !errors.As(err, &defect) {
		return "", fmt.Errorf("error has no defect: %w", err)
	}
	return string(defect), nil
}

// checkProposal: "missing" has the transaction that is not proposed.
func (v *pegOut) checkProposal(w *wallet) error {
	var tx *wire.MsgTx
	if len(v.Tx) > 0 {
		var err error
		if tx, err = readTx(v.Tx); err != nil {
			return err
		}
	}
	result, err := outcome(w.federation.CheckProposal(required(v.Requests), tx, w.holds))
	return errors.Join(err, equal("result of "+v.Case, result, v.Result), v.checkSigner(w, tx))
}

// verdicts counts, by case, legacy's verdict of a proposal and what our member says.
var verdicts = make(map[[3]string]int)

// checkSigner: a member signs nothing that legacy refuses, and what legacy's members
// make themselves.
func (v *pegOut) checkSigner(w *wallet, tx *wire.MsgTx) error {
	var spent []*wire.TxOut
	if tx != nil {
		for _, in := range tx.TxIn {
			spent = append(spent, w.coins[in.PreviousOutPoint])
		}
	}
	signer, err := outcome(w.federation.CheckSigner(peg.Policy{MaxRate: 1_000_000}, required(v.Requests), tx, spent, nil))
	verdicts[[3]string{v.Case, v.Result, signer}]++
	switch {
	case err != nil:
		return err
	case v.Result != "ok" && signer == "ok":
		return fmt.Errorf("%s: a member signs what legacy refuses as %s", v.Case, v.Result)
	case v.Case == "as created" && signer != "ok":
		return fmt.Errorf("a member does not sign what legacy makes: %s", signer)
	}
	return nil
}

func (v *pegOut) checkSign(w *wallet) error {
	tx, err := readTx(v.Unsigned)
	if err != nil {
		return err
	}
	finalized, err := readTx(v.Finalized)
	if err != nil {
		return err
	}
	spent, err := w.spent(tx)
	if err != nil {
		return err
	}
	f := w.federation
	hashes, err := f.SigHashes(tx, spent)
	if err != nil {
		return err
	}
	var texts []octets
	for _, hash := range hashes {
		texts = append(texts, hash[:])
	}
	problem := errors.Join(
		equal("sighashes", texts, v.SigHashes),
		v.checkSignatures(f, tx, finalized, hashes),
		equal("valid", f.CheckWitnesses(finalized, spent) == nil, v.Valid),
	)
	for _, in := range tx.TxIn {
		delete(w.coins, in.PreviousOutPoint)
	}
	w.register(tx)
	balance := int64(0)
	for _, coin := range w.coins {
		balance += coin.Value
	}
	again, err := outcome(f.CheckProposal(required(v.Requests), tx, w.holds))
	return errors.Join(problem, err,
		equal("balance_after", balance, v.Balance),
		equal("proposal_again_after_registration", again, v.Again))
}

// checkSignatures verifies the signatures in the finalised transaction, whose nonces legacy
// draws at random, and finalises with them. They must be those of the first members to sign.
func (v *pegOut) checkSignatures(f *peg.Federation, tx, finalized *wire.MsgTx, hashes [][32]byte) error {
	first := slices.Sorted(slices.Values(v.SignerOrder[:f.Threshold]))
	all := make([][][64]byte, len(f.Keys))
	for _, in := range finalized.TxIn {
		var signers []int
		for member := range f.Keys {
			if item := in.Witness[len(f.Keys)-1-member]; len(item) == 64 {
				all[member] = append(all[member], [64]byte(item))
				signers = append(signers, member)
			}
		}
		if err := equal("signer_order", signers, first); err != nil {
			return err
		}
	}
	var problem error
	for _, member := range first {
		problem = errors.Join(problem, f.VerifySignatures(hashes, member, all[member]))
	}
	signed, err := f.Finalize(tx, all)
	if err != nil {
		return err
	}
	return errors.Join(problem, equal("finalized", spelled(signed), []byte(v.Finalized)))
}

func (v *pegOut) checkWitness(w *wallet) error {
	tx, err := readTx(v.Tx)
	if err != nil {
		return err
	}
	spent, err := w.spent(tx)
	if err != nil {
		return err
	}
	result, err := outcome(w.federation.CheckWitnesses(tx, spent))
	return errors.Join(err, equal("result of "+v.Case, result, v.Result))
}

// spelled returns a transaction's bytes; writing to memory does not fail.
func spelled(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	_ = tx.Serialize(&b)
	return b.Bytes()
}

// checkCreate gives the coins that legacy chose, at random where there are several:
// fees, change and the transaction follow from them.
func (v *pegOut) checkCreate(w *wallet) error {
	tx, err := readTx(v.Tx)
	if err != nil {
		return err
	}
	spent, err := w.spent(tx)
	if err != nil {
		return err
	}
	var coins []peg.Coin
	for i, in := range tx.TxIn {
		coins = append(coins, peg.Coin{OutPoint: in.PreviousOutPoint, Amount: uint64(spent[i].Value)})
	}
	rate, err := v.Rate.Float64()
	if err != nil {
		return err
	}
	built, err := w.federation.Payment(coins, required(v.Requests), uint64(rate*1000))
	if err != nil {
		return err
	}
	signer := w.federation.CheckSigner(peg.Policy{MaxRate: 1_000_000}, required(v.Requests), tx, spent, nil)
	return errors.Join(signer,
		equal("tx", spelled(built), []byte(v.Tx)),
		equal("txid", built.TxHash().String(), v.Txid),
		equal("weight", blockchain.GetTransactionWeight(btcutil.NewTx(built)), v.Weight))
}
