package vectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// federation returns the federation of secret keys 1 to n.
func federation(n int) (*peg.Federation, error) {
	keys := make([][33]byte, n)
	for i := range keys {
		_, public := btcec.PrivKeyFromBytes([]byte{byte(i + 1)})
		keys[i] = [33]byte(public.SerializeCompressed())
	}
	return peg.NewFederation(keys)
}

// readTx reads a Bitcoin transaction. Legacy writes one without inputs with the
// marker and flag of witnesses before the empty list, which btcd does not read.
func readTx(raw []byte) (*wire.MsgTx, error) {
	tx, r := new(wire.MsgTx), bytes.NewReader(raw)
	read := tx.Deserialize
	if len(raw) > 7 && bytes.Equal(raw[4:7], []byte{0, 1, 0}) {
		r = bytes.NewReader(append(bytes.Clone(raw[:4]), raw[6:]...))
		read = tx.DeserializeNoWitness
	}
	err := read(r)
	if err == nil && r.Len() != 0 {
		err = fmt.Errorf("transaction with %d bytes more", r.Len())
	}
	return tx, err
}

func checkPegIn(line []byte) error {
	var v struct {
		Case  string `json:"case"`
		PegIn *struct {
			Account octets `json:"account"`
			Amount  uint64 `json:"amount"`
		} `json:"pegin"`
		Tx   octets `json:"tx"`
		Txid string `json:"txid"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	f, err := federation(3)
	if err != nil {
		return err
	}
	tx, err := readTx(v.Tx)
	if err != nil {
		return err
	}
	in, ok := f.PegIn(tx)
	want := peg.PegIn{}
	if v.PegIn != nil {
		want = peg.PegIn{Account: common.Address(v.PegIn.Account), Amount: v.PegIn.Amount}
	}
	strict, strictly := f.StrictPegIn(tx)
	recognition[[3]string{v.Case, reading(in, ok), reading(strict, strictly)}]++
	if (f.PegInReason(tx, false) == "") != ok || (f.PegInReason(tx, true) == "") != strictly || ok && strictly && in != strict {
		return fmt.Errorf("%s: legacy reads %v, the strict rule %v", v.Case, in, strict)
	}
	return errors.Join(
		equal("txid", tx.TxHash().String(), v.Txid),
		equal("whether there is a peg-in, "+v.Case, ok, v.PegIn != nil),
		equal("pegin, "+v.Case, in, want),
	)
}

// recognition counts, by case, what the two rules read in a deposit.
var recognition = make(map[[3]string]int)

func reading(in peg.PegIn, ok bool) string {
	if !ok {
		return "no peg-in"
	}
	return "peg-in"
}

// request is [satoshi, script].
type request peg.Output

func (r *request) UnmarshalJSON(data []byte) error {
	var script octets
	pair := []any{&r.Amount, &script}
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	r.Script = script
	return nil
}

func required(requests []request) []peg.Output {
	var outputs []peg.Output
	for _, r := range requests {
		outputs = append(outputs, peg.Output(r))
	}
	return outputs
}

func checkPegOutRequest(line []byte) error {
	var v struct {
		Outputs  []request `json:"outputs"`
		Receipts []struct {
			To   *octets `json:"to"`
			Logs []struct {
				Address octets   `json:"address"`
				Topics  []octets `json:"topics"`
				Data    octets   `json:"data"`
			} `json:"logs"`
		} `json:"receipts"`
	}
	// The receipts have members that the rule does not read.
	if err := json.Unmarshal(line, &v); err != nil {
		return err
	}
	var receipts []peg.Receipt
	var logs []peg.RequestLog
	for _, r := range v.Receipts {
		var receipt peg.Receipt
		if r.To != nil {
			to := common.Address(*r.To)
			receipt.To = &to
		}
		for _, l := range r.Logs {
			log := peg.Log{Data: l.Data}
			for _, topic := range l.Topics {
				log.Topics = append(log.Topics, common.Hash(topic))
			}
			receipt.Logs = append(receipt.Logs, log)
			full := peg.RequestLog{HasTo: r.To != nil, Emitter: common.Address(l.Address), Topics: log.Topics, Data: l.Data}
			if r.To != nil {
				full.To = common.Address(*r.To)
			}
			logs = append(logs, full)
		}
		receipts = append(receipts, receipt)
	}
	outputs, err := peg.PegOuts(receipts)
	requests, errRequests := peg.Requests(logs, false, peg.MinPegOut)
	strict, errStrict := peg.Requests(logs, true, peg.MinPegOut)
	tally("legacy", requests)
	tally("strict", strict)
	return errors.Join(err, errRequests, errStrict,
		equal("outputs", outputs, required(v.Outputs)),
		equal("requests", peg.Outputs(requests), required(v.Outputs)))
}

// asked counts, by rule, what is paid and why a request is not.
var asked = make(map[[2]string]int)

func tally(rule string, requests []peg.Request) {
	for _, r := range requests {
		reason := r.Ignored
		if reason == "" {
			reason = "paid"
		}
		asked[[2]string{rule, reason}]++
	}
}
