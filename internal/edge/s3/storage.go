package s3

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// Options configure a [Storage]. The keys are needed.
type Options struct {
	AccessKey, SecretKey string
	SessionToken         string // of temporary keys; else empty
	// Scratch is the directory in which an object is gathered before it is sent;
	// empty for the system's.
	Scratch string
	// Timeout is how long the server may stay silent, and an operation take beside
	// the time for its bytes; 0 means 30 seconds.
	Timeout time.Duration
}

// Storage is an [archive.Storage] in a bucket. Make it with [New].
type Storage struct {
	at      Address
	opt     Options
	client  *minio.Core
	windows windows
}

var _ archive.Storage = (*Storage)(nil)

// attempts of a request whose answer does not come; between them the client
// waits up to a second.
const attempts = 3

// slowest is how many bytes a second a connection must carry.
const slowest = 64 << 10

// New returns the storage at an address. It asks nothing of the server yet.
func New(at Address, o Options) (*Storage, error) {
	if o.AccessKey == "" || o.SecretKey == "" {
		return nil, fault.New(fault.Invalid, "archive storage %s: %s and %s must be in the environment", at, accessVariable, secretVariable)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	client, err := minio.NewCore(at.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken),
		Secure: !at.Insecure, Region: at.Region, MaxRetries: attempts,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: min(o.Timeout, 10*time.Second)}).DialContext,
			TLSHandshakeTimeout: o.Timeout, ResponseHeaderTimeout: o.Timeout,
			IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 8, DisableCompression: true, ForceAttemptHTTP2: true,
		},
	})
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, fmt.Sprintf("archive storage %s", at))
	}
	client.SetAppInfo("alys", "1")
	return &Storage{at: at, opt: o, client: client}, nil
}

// String returns the address.
func (s *Storage) String() string { return s.at.String() }

// limit bounds an operation that moves so many bytes.
func (s *Storage) limit(ctx context.Context, bytes int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, attempts*s.opt.Timeout+time.Duration(bytes/slowest)*time.Second)
}

// Put implements [archive.Storage]. An object of this name with the same bytes
// is left as it is, one with others is an error of grade Invalid.
func (s *Storage) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(s.opt.Scratch, "alys-segment-*.tmp")
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "file to gather an archive segment in")
	}
	_ = os.Remove(f.Name()) // where an open file can be removed, nothing stays after a crash
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, sum), 256<<10)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fault.Wrap(fault.Temporary, err, "gathering an archive segment in "+f.Name())
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "gathering an archive segment in "+f.Name())
	}
	switch there, err := s.stat(ctx, name); {
	case err == nil:
		return s.same(ctx, name, there, size, [32]byte(sum.Sum(nil)))
	case !fault.Is(err, fault.Corrupt): // Corrupt is missing
		return err
	}
	if err = s.send(ctx, name, f, size); answer(err).StatusCode == http.StatusPreconditionFailed {
		// Somebody was faster, or the answer to our first attempt was lost.
		there, err := s.stat(ctx, name)
		if err != nil {
			return err
		}
		return s.same(ctx, name, there, size, [32]byte(sum.Sum(nil)))
	}
	return s.grade(err, "put object "+s.at.object(name))
}

// send puts the object if none is there. A server that knows no conditions is
// asked without.
func (s *Storage) send(ctx context.Context, name string, f *os.File, size int64) (err error) {
	ctx, cancel := s.limit(ctx, size)
	defer cancel()
	for _, condition := range []bool{true, false} {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fault.Wrap(fault.Temporary, err, "reading "+f.Name())
		}
		o := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true}
		if condition {
			o.SetMatchETagExcept("*")
		}
		_, err = s.client.Client.PutObject(ctx, s.at.Bucket, s.at.object(name), f, size, o)
		if answer(err).StatusCode != http.StatusNotImplemented {
			break
		}
	}
	return err
}

// same compares the object that is there with one that was to be put.
func (s *Storage) same(ctx context.Context, name string, there, size int64, sum [32]byte) error {
	other := func(what string) error {
		return fault.New(fault.Invalid, "archive storage %s: object %s is there and has %s; another copy of this journal may need it, so it stays: give journal.archive another prefix, or remove the object",
			s.at, s.at.object(name), what)
	}
	if there != size {
		return other(fmt.Sprintf("%d bytes, not %d", there, size))
	}
	h := sha256.New()
	buf := make([]byte, min(ahead, size))
	for off := int64(0); off < size; off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), size-off)]
		if err := s.fetch(ctx, name, buf, off); err != nil {
			return err
		}
		h.Write(buf)
	}
	if got := [32]byte(h.Sum(nil)); got != sum {
		return other(fmt.Sprintf("SHA-256 %x, not %x", got, sum))
	}
	return nil
}

// ReadAt implements [archive.Storage].
func (s *Storage) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	if off == 0 { // whoever begins anew wants what is there now
		s.windows.forget(name)
	}
	w, sequential := s.windows.take(name, off)
	n := copy(p, w.data)
	rest, at := p[n:], off+int64(n)
	w = window{name: name, next: off + int64(len(p)), data: w.data[n:]}
	if len(rest) > 0 {
		w.data = nil
		if sequential && len(rest) < ahead {
			var err error
			if w.data, err = s.further(ctx, name, rest, at); err != nil {
				return err
			}
		} else if err := s.fetch(ctx, name, rest, at); err != nil {
			return err
		}
	}
	s.windows.put(w)
	return nil
}

// further fills p and returns what follows it, as far as the object goes.
func (s *Storage) further(ctx context.Context, name string, p []byte, off int64) (beyond []byte, err error) {
	buf := make([]byte, ahead)
	n, err := s.get(ctx, name, buf, off)
	if err != nil {
		return nil, err
	}
	if n < len(p) {
		return nil, s.short(name, off, len(p), n)
	}
	copy(p, buf)
	return buf[len(p):n], nil
}

func (s *Storage) fetch(ctx context.Context, name string, p []byte, off int64) error {
	n, err := s.get(ctx, name, p, off)
	if err == nil && n < len(p) {
		err = s.short(name, off, len(p), n)
	}
	return err
}

func (s *Storage) short(name string, off int64, want, got int) error {
	return fault.New(fault.Corrupt, "archive storage %s: object %s is shorter than it was: of %d bytes at offset %d it has %d", s.at, s.at.object(name), want, off, got)
}

// get reads up to len(p) bytes, fewer only where the object ends.
func (s *Storage) get(ctx context.Context, name string, p []byte, off int64) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	ctx, cancel := s.limit(ctx, int64(len(p)))
	defer cancel()
	what := "read object " + s.at.object(name)
	for range attempts {
		if n, err = s.once(ctx, name, p, off); answer(err).StatusCode != 0 || err == nil || ctx.Err() != nil {
			break // a body that was cut short is worth another attempt
		}
	}
	if answer(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return 0, nil
	}
	return n, s.grade(err, what)
}

func (s *Storage) once(ctx context.Context, name string, p []byte, off int64) (n int, err error) {
	var o minio.GetObjectOptions
	if err := o.SetRange(off, off+int64(len(p))-1); err != nil {
		return 0, fault.Wrap(fault.Invalid, err, "range")
	}
	body, info, _, err := s.client.GetObject(ctx, s.at.Bucket, s.at.object(name), o)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }() // all that is wanted was read
	if info.Size < 0 || info.Size > int64(len(p)) {
		return 0, fmt.Errorf("%d bytes were asked for, the server sends %d", len(p), info.Size)
	}
	return io.ReadFull(body, p[:info.Size])
}

// stat returns the size of an object.
func (s *Storage) stat(ctx context.Context, name string) (int64, error) {
	ctx, cancel := s.limit(ctx, 0)
	defer cancel()
	what := "look at object " + s.at.object(name)
	info, err := s.client.StatObject(ctx, s.at.Bucket, s.at.object(name), minio.StatObjectOptions{})
	if reply := answer(err); reply.StatusCode != 0 {
		// The answer has no body that could tell object, bucket and key apart.
		if _, told := s.once(ctx, name, make([]byte, 1), 0); told != nil {
			err = told
		}
	}
	return info.Size, s.grade(err, what)
}

// Size implements [archive.Storage].
func (s *Storage) Size(ctx context.Context, name string) (int64, error) { return s.stat(ctx, name) }

// List implements [archive.Storage]. Objects in a deeper place are not of this
// storage.
func (s *Storage) List(ctx context.Context) ([]string, error) {
	ctx, cancel := s.limit(ctx, 0)
	defer cancel()
	prefix := s.at.object("")
	var names []string
	for o := range s.client.Client.ListObjects(ctx, s.at.Bucket, minio.ListObjectsOptions{Prefix: prefix}) {
		if o.Err != nil {
			return nil, s.grade(o.Err, "list objects")
		}
		if name := strings.TrimPrefix(o.Key, prefix); !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
