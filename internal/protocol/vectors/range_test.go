package vectors_test

import (
	"encoding/json"
	"errors"
	"path/filepath"

	"github.com/AnduroProject/alys-go/internal/protocol/blockrange"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// checkRange compares an answer with the block of chain fed3 at that height: one
// block whatever the count, and nothing for a height above the head or a count of 0.
// The aggregate is the sender's own, so the block is compared without it.
func checkRange(line []byte) error {
	var v struct {
		Start  uint64 `json:"start_height"`
		Count  uint64 `json:"count"`
		Answer octets `json:"answer"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	asked := blockrange.Request{Start: v.Start, Count: v.Count}
	request, err := blockrange.DecodeRequest(asked.Encode())
	if err != nil {
		return err
	}
	chain, err := vectors.Lines(filepath.Join(vectors.Dir(legacyDir), "chains", "fed3"), "blocks")
	if err != nil {
		return err
	}
	blocks, err := blockrange.DecodeAnswer(v.Answer)
	if err != nil {
		return err
	}
	answered := 0
	if v.Count > 0 && v.Start < uint64(len(chain)) {
		answered = 1
	}
	answer := []byte{}
	problem := errors.Join(
		equal("request", request, asked),
		equal("blocks", len(blocks), answered),
	)
	for i, b := range blocks {
		answer, err = blockrange.AppendBlock(answer, b)
		message, other := messages(b, chain[v.Start+uint64(i)])
		problem = errors.Join(problem, err, other,
			equal("height", b.Block.Payload.BlockNumber, v.Start),
			sameJSON("block", message[0], message[1]))
	}
	return errors.Join(problem, equal("answer", answer, []byte(v.Answer)))
}

// messages returns the JSON of a block without its approvals, and that of an answer
// to getblockbyheight.
func messages(signed any, answer []byte) (out [2]json.RawMessage, err error) {
	type withMessage struct {
		Message json.RawMessage `json:"message"`
	}
	var ours withMessage
	var theirs struct {
		Result withMessage `json:"result"`
	}
	text, err := json.Marshal(signed)
	err = errors.Join(err, json.Unmarshal(text, &ours), json.Unmarshal(answer, &theirs))
	return [2]json.RawMessage{ours.Message, theirs.Result.Message}, err
}
