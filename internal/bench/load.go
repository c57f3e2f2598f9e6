package main

import (
	"encoding/binary"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// load is a message of 256 bytes.
type load struct{ Payload []byte }

func (*load) Type() string              { return "load" }
func (*load) Schema() uint32            { return 1 }
func (l *load) Fields(f *record.Fields) { f.Bytes(1, &l.Payload) }
func (l *load) sentAt() int64           { return int64(binary.BigEndian.Uint64(l.Payload)) }
func newLoad(n uint64, now int64) *load { p := make([]byte, 256); stamp(p, n, now); return &load{p} }
func stamp(p []byte, n uint64, now int64) {
	binary.BigEndian.PutUint64(p, uint64(now))
	binary.BigEndian.PutUint64(p[8:], n)
	p[255] = 1
}

// counted is the effect each turn asks for: it leaves when the turn is durable.
type counted struct {
	Count  uint64
	SentAt int64
}

func (*counted) Type() string   { return "counted" }
func (*counted) Schema() uint32 { return 1 }
func (c *counted) Fields(f *record.Fields) {
	f.Uint64(1, &c.Count)
	f.Int64(2, &c.SentAt)
}

// counter is an actor core that counts messages.
type counter struct{}

func (counter) ID() core.ID              { return "counter" }
func (counter) NewState() core.State     { return &counterState{} }
func (counter) Messages() []core.Message { return []core.Message{&load{}} }
func (counter) Handle(s core.State, m core.Message, _ core.Turn, out *core.Out) {
	state := s.(*counterState)
	state.Count++
	state.Last = m.(*load).sentAt()
	out.Effect("sink", core.FireAndForget, &counted{Count: state.Count, SentAt: state.Last})
}

type counterState struct {
	Count uint64
	Last  int64
}

func (s *counterState) Fields(f *record.Fields) {
	f.Uint64(1, &s.Count)
	f.Int64(2, &s.Last)
}
func (s *counterState) Clone() core.State { c := *s; return &c }
func (s *counterState) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(s)
	return yield(nil, value)
}
func (s *counterState) Load(key, value []byte, _ record.Resolver) error {
	if len(key) != 0 {
		return fault.New(fault.Corrupt, "counter state has no entry %x", key)
	}
	return record.Decode(value, s, nil)
}
