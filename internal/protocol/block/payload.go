package block

import "github.com/AnduroProject/alys-go/internal/protocol/msgpack"

// Encode returns the payload alone in the form it has inside a block.
// (wire.md 9.4, X)
func (p *Payload) Encode() []byte { return p.appendTo(nil) }

// DecodePayload reads what [Payload.Encode] writes, as strictly as [Decode].
func DecodePayload(data []byte) (*Payload, error) {
	r := msgpack.NewReader(data, MaxSize)
	p := new(Payload)
	p.read(r)
	if err := r.End("payload"); err != nil {
		return nil, err
	}
	return p, nil
}
