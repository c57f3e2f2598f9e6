package vectors_test

import (
	"errors"

	"github.com/btcsuite/btcd/chaincfg"

	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

func checkFederation(line []byte) error {
	var v struct {
		PublicKeys   []octets          `json:"public_keys"`
		Threshold    int               `json:"threshold"`
		Script       octets            `json:"script"`
		ControlBlock octets            `json:"control_block"`
		ScriptPubKey octets            `json:"script_pubkey"`
		Addresses    map[string]string `json:"addresses"`
		Weight       int               `json:"satisfaction_weight"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	keys := make([][33]byte, len(v.PublicKeys))
	for i := range keys {
		keys[i] = [33]byte(v.PublicKeys[i])
	}
	f, err := peg.NewFederation(keys)
	if err != nil {
		return err
	}
	addresses := make(map[string]string)
	for name, params := range map[string]*chaincfg.Params{
		"bitcoin": &chaincfg.MainNetParams, "testnet": &chaincfg.TestNet3Params,
		"signet": &chaincfg.SigNetParams, "regtest": &chaincfg.RegressionNetParams,
	} {
		if addresses[name], err = f.Address(params); err != nil {
			return err
		}
	}
	return errors.Join(
		equal("threshold", f.Threshold, v.Threshold),
		equal("script", f.Script, []byte(v.Script)),
		equal("control_block", f.ControlBlock, []byte(v.ControlBlock)),
		equal("script_pubkey", f.ScriptPubKey, []byte(v.ScriptPubKey)),
		equal("addresses", addresses, v.Addresses),
		equal("satisfaction_weight", f.SatisfactionWeight, v.Weight),
	)
}
