package main

import (
	"strings"

	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
	"github.com/AnduroProject/alys-go/journal"
)

// workFor is what turns of a journal are handled again with: the real slow work,
// or the stand-ins of the simulation that wrote it.
func workFor(j *journal.Journal) (node.Work, error) {
	event, _, err := j.Event(1)
	if err != nil || event.Type != (*message.NodeConfigured)(nil).Type() {
		return memo.New(), nil // empty, or begun at a checkpoint: no simulation's
	}
	var m message.NodeConfigured
	if err := message.Older().Decode(&m, event.Schema, event.Message, nil); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "configuration of the journal")
	}
	if strings.HasPrefix(m.Software, standin.Software) {
		return standin.NewWork(), nil
	}
	return memo.New(), nil
}
