package keeper

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	logFormat = 1
	maxLine   = 4 << 20 // bytes; a payment with as many inputs as fit takes 0.2 MiB
)

// Record is one payment that was signed. Hashes are written as Bitcoin writes them,
// roots as the sidechain does.
type Record struct {
	Time     int64    `json:"time"` // Unix milliseconds
	Txid     string   `json:"txid"`
	Root     string   `json:"root"`   // the block that proposed it
	Number   uint64   `json:"number"` // its height
	Inputs   []string `json:"inputs"` // txid:index
	Paid     uint64   `json:"paid"`   // satoshi, without change
	Fee      uint64   `json:"fee"`
	Replaces []string `json:"replaces,omitempty"`
	Allowed  bool     `json:"allowed,omitempty"` // by the operator, against a rule
}

// header is the first line of a log.
type header struct {
	Format    int    `json:"alys_signer_log"`
	PublicKey string `json:"public_key"`
}

// Log is the durable list of what was signed. It is one process's: the file is locked.
// Its methods are for one goroutine at a time.
type Log struct {
	mu     sync.Mutex // of failed and file, for Close
	file   *os.File
	sum    [sha256.Size]byte // of the last line
	failed error
	// Records are those of the file when it was opened.
	Records []Record
	// Cut is how many bytes of an unfinished last line were cut off at opening.
	Cut int
}

// OpenLog opens the log of a key. With create it makes a new one and refuses a file that
// is there; without it a missing file is refused: a keeper that lost its memory must not
// begin with an empty one by itself.
//
// Every line carries the SHA-256 of the line before and itself. An unfinished last line
// is cut off: its signature never left. Anything else that does not fit is Corrupt.
func OpenLog(path string, public [33]byte, create bool) (_ *Log, err error) {
	flags := os.O_RDWR | os.O_APPEND
	if create {
		flags |= os.O_CREATE | os.O_EXCL
	}
	file, err := os.OpenFile(path, flags, 0o600)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fault.New(fault.Invalid, "signer log %s is missing: restore it; for a key that never signed a payment make one with --new-log", path)
	case errors.Is(err, os.ErrExist):
		return nil, fault.New(fault.Invalid, "signer log %s is there already: start without --new-log", path)
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "signer log")
	}
	l := &Log{file: file}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fault.New(fault.Invalid, "signer log %s is used by another process: stop it first", path)
	}
	if create {
		if err := l.begin(path, public); err != nil {
			return nil, err
		}
		return l, nil
	}
	return l, l.read(path, public)
}

// begin writes the first line, and makes the file's name durable.
func (l *Log) begin(path string, public [33]byte) error {
	if err := l.write(header{Format: logFormat, PublicKey: hex.EncodeToString(public[:])}); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	return fault.Wrap(fault.Fatal, err, "signer log "+path)
}

// ReadLog reads a log that may be in use: the key it is of, what was signed, and how many
// bytes of an unfinished last line follow.
func ReadLog(path string) (public string, records []Record, rest int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", nil, 0, fault.Wrap(fault.Invalid, err, "signer log")
	}
	defer func() { _ = file.Close() }()
	l := &Log{file: file}
	h, _, rest, err := l.scan(path)
	return h.PublicKey, l.Records, rest, err
}

// read takes in the whole file and leaves it at its end.
func (l *Log) read(path string, public [33]byte) error {
	h, whole, rest, err := l.scan(path)
	if err != nil {
		return err
	}
	if key := hex.EncodeToString(public[:]); h.PublicKey != key {
		return fault.New(fault.Invalid, "signer log %s is of key %.70s, the key given is %s: use the log of that key", path, h.PublicKey, key)
	}
	return l.cut(path, whole, rest)
}

// scan reads the file, and returns where its whole lines end and how many bytes follow.
func (l *Log) scan(path string) (h header, whole int64, rest int, err error) {
	lines := bufio.NewReaderSize(l.file, 64<<10)
	for n := 0; ; n++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) && n > 0 {
			return h, whole, len(line), nil
		}
		if errors.Is(err, io.EOF) {
			return h, 0, 0, fault.New(fault.Corrupt, "signer log %s has no first line: restore it from a copy", path)
		}
		body, sum, err := l.verify(line, err)
		switch {
		case err != nil:
		case n == 0:
			err = h.read(body)
		default:
			var r Record
			err = strict(body, &r)
			l.Records = append(l.Records, r)
		}
		if err != nil {
			return h, 0, 0, fault.New(fault.Of(err), "signer log %s, line %d: %w; restore it from a copy", path, n+1, err)
		}
		l.sum = sum
		whole += int64(len(line)) + 1
	}
}

// readLine returns a line without its end; with io.EOF what follows the last one.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fault.New(fault.Corrupt, "longer than %d bytes", maxLine)
		case err == nil:
			return line[:len(line)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}

// verify splits a line into its sum and its body, and compares them.
func (l *Log) verify(line []byte, failed error) (body []byte, sum [sha256.Size]byte, err error) {
	const digits = 2 * sha256.Size
	if failed != nil {
		return nil, sum, fault.Wrap(fault.Corrupt, failed, "reading it")
	}
	if len(line) <= digits || line[digits] != ' ' {
		return nil, sum, fault.New(fault.Corrupt, "no sum at its beginning")
	}
	body = line[digits+1:]
	sum = chain(l.sum, body)
	if string(line[:digits]) != hex.EncodeToString(sum[:]) {
		return nil, sum, fault.New(fault.Corrupt, "its sum does not fit: it or a line before was changed")
	}
	return body, sum, nil
}

func chain(before [sha256.Size]byte, body []byte) [sha256.Size]byte {
	return sha256.Sum256(append(before[:], body...))
}

func (h *header) read(body []byte) error {
	if err := strict(body, h); err != nil {
		return err
	}
	if h.Format != logFormat {
		return fault.New(fault.Invalid, "format %d, this program knows %d: use a newer one", h.Format, logFormat)
	}
	return nil
}

// strict refuses unknown keys: they would be rules that this program does not know.
func strict(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.Wrap(fault.Corrupt, err, "not what this program writes")
	}
	return nil
}

// cut removes an unfinished last line.
func (l *Log) cut(path string, whole int64, rest int) error {
	if rest == 0 {
		return nil
	}
	err := errors.Join(l.file.Truncate(whole), l.file.Sync())
	l.Cut = rest
	return fault.Wrap(fault.Fatal, err, "signer log "+path+": cutting its unfinished last line")
}

// Append writes a record and returns when it is on disk. After an error every further
// call fails: what the file holds is not known.
func (l *Log) Append(r *Record) error { return l.write(r) }

func (l *Log) write(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "signer log")
	}
	sum := chain(l.sum, body)
	line := append(hex.AppendEncode(make([]byte, 0, len(body)+66), sum[:]), ' ')
	line = append(append(line, body...), '\n')
	if _, err = l.file.Write(line); err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.failed = fault.New(fault.Fatal, "signer log %s cannot be written: %w; nothing is signed any more, start again when the disk is well", l.file.Name(), err)
		return l.failed
	}
	l.sum = sum
	return nil
}

// Close closes the file; what is appended afterwards fails.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = fault.New(fault.Fatal, "signer log %s is closed", l.file.Name())
	}
	return l.file.Close()
}
