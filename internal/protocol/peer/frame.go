package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Message is what one frame holds.
type Message interface {
	record.Record
	// Kind is the first byte of the frame's body.
	Kind() Kind
}

// Kind says which message a frame holds. A number is never used again for another.
type Kind byte

// The kinds of frames. (docs/formats/peer-protocol.md, Messages)
const (
	KindHello    Kind = 1
	KindGoodbye  Kind = 2
	KindStatus   Kind = 3
	KindPing     Kind = 4
	KindPong     Kind = 5
	KindRange    Kind = 16
	KindDescend  Kind = 17
	KindBlock    Kind = 18
	KindHeader   Kind = 19
	KindEnd      Kind = 20
	KindContents Kind = 32
	KindContent  Kind = 33

	KindApprovals  Kind = 48
	KindApproval   Kind = 49
	KindPayments   Kind = 64
	KindSignatures Kind = 65
	KindAnnounce   Kind = 80
	KindWant       Kind = 81
	KindCompact    Kind = 82
	KindParts      Kind = 83
	KindOpaque     Kind = 96
)

// MaxBlock is the largest signed block that travels by this protocol, in bytes: a payload
// that fills 30 million gas with zero bytes of calldata, in hex, and as much again to spare.
const MaxBlock = 32 << 20

// overhead is what a frame may have beyond its largest field.
const overhead = 256

// of makes an empty message of each kind, and says how long its body may be.
var of = map[Kind]struct {
	max  int
	make func() Message
}{
	KindHello:      {1024, func() Message { return &Hello{} }},
	KindGoodbye:    {512, func() Message { return &Goodbye{} }},
	KindStatus:     {overhead, func() Message { return &Status{} }},
	KindPing:       {32, func() Message { return &Ping{} }},
	KindPong:       {32, func() Message { return &Pong{} }},
	KindRange:      {64, func() Message { return &Range{} }},
	KindDescend:    {128, func() Message { return &Descend{} }},
	KindBlock:      {MaxBlock + overhead, func() Message { return &Block{} }},
	KindHeader:     {MaxBlock + overhead, func() Message { return &Header{} }},
	KindEnd:        {512, func() Message { return &End{} }},
	KindContents:   {MaxAsked*32 + overhead, func() Message { return &Contents{} }},
	KindContent:    {MaxBlock + overhead, func() Message { return &Content{} }},
	KindApprovals:  {MaxAsked*32 + overhead, func() Message { return &Approvals{} }},
	KindApproval:   {overhead, func() Message { return &Approval{} }},
	KindPayments:   {MaxAsked*32 + overhead, func() Message { return &Payments{} }},
	KindSignatures: {MaxSignatures*64 + overhead, func() Message { return &Signatures{} }},
	KindAnnounce:   {overhead, func() Message { return &Announce{} }},
	KindWant:       {4*MaxTransactions + overhead, func() Message { return &Want{} }},
	KindCompact:    {MaxSkeleton + 32*MaxTransactions + overhead, func() Message { return &Compact{} }},
	KindParts:      {MaxBlock + overhead, func() Message { return &Parts{} }},
	KindOpaque:     {MaxOpaque + overhead, func() Message { return &Opaque{} }},
}

// ErrLength is in the chain of the error about a frame that claims more than its kind may hold.
var ErrLength = errors.New("the frame is longer than its kind may be")

// AppendFrame appends the frame of a message. It panics with a message beyond its bound: the
// sender made it. The caller checks what comes from elsewhere, such as a block, by [Fits].
func AppendFrame(dst []byte, m Message) []byte {
	body := AppendBody(nil, m)
	if len(body) > of[m.Kind()].max {
		panic("peer: a frame beyond the bound of its kind")
	}
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

// AppendBody appends kind and encoding of a message without the length before them.
func AppendBody(dst []byte, m Message) []byte {
	dst, _ = record.Append(append(dst, byte(m.Kind())), m)
	return dst
}

// Fits reports whether a block's bytes fit a frame.
func Fits(signed []byte) bool { return len(signed) <= MaxBlock }

// Decode reads a body, the kind and the message.
func Decode(body []byte) (Message, error) {
	if len(body) == 0 {
		return nil, fault.New(fault.Invalid, "peer: an empty frame")
	}
	k, ok := of[Kind(body[0])]
	if !ok {
		return nil, fault.New(fault.Invalid, "peer: frames of kind %d are not known", body[0])
	}
	if len(body) > k.max {
		return nil, fault.Wrap(fault.Invalid, ErrLength, "peer")
	}
	m := k.make()
	if err := record.Decode(body[1:], m, nil); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "peer")
	}
	return m, nil
}

// Reader is what frames are read from.
type Reader interface {
	io.Reader
	io.ByteReader
}

// ReadFrame reads one frame, which must be of one of the kinds that are due. What it reads
// before it knows the kind is a few bytes. io.EOF means that the stream ended before a frame.
func ReadFrame(r Reader, due ...Kind) (Message, error) {
	n, err := readLength(r)
	if err != nil {
		return nil, err
	}
	first, err := r.ReadByte()
	if err != nil {
		return nil, cut(err)
	}
	k := Kind(first)
	if !slices.Contains(due, k) {
		return nil, fault.New(fault.Invalid, "peer: a frame of kind %d where one of %d is due", first, due)
	}
	if n > uint64(of[k].max) {
		return nil, fault.Wrap(fault.Invalid, ErrLength, "peer")
	}
	body, err := readBody(r, k, int(n))
	if err != nil {
		return nil, err
	}
	return Decode(body)
}

// step is how much memory is made ready at once for what a frame claims to hold.
const step = 64 << 10

func readBody(r Reader, k Kind, n int) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(min(n, step) + bytes.MinRead)
	b.WriteByte(byte(k))
	if _, err := io.CopyN(&b, r, int64(n-1)); err != nil {
		return nil, cut(err)
	}
	return b.Bytes(), nil
}

// readLength reads a minimal varint of at most four bytes above zero.
func readLength(r Reader) (uint64, error) {
	var n uint64
	for i := range 4 {
		b, err := r.ReadByte()
		if err != nil {
			if i > 0 {
				err = cut(err)
			}
			return 0, err
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if n == 0 || b == 0 {
				return 0, fault.New(fault.Invalid, "peer: an empty frame, or a length that is not minimal")
			}
			return n, nil
		}
	}
	return 0, fault.Wrap(fault.Invalid, ErrLength, "peer")
}

// cut makes an end in the middle of a frame different from one between frames.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
