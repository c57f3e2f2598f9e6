package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/common"
)

// Size is a number of bytes, never negative.
type Size int64

// Units of [Size].
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

var sizeUnits = []struct {
	name string
	unit Size
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// String writes s in the largest unit that divides it: "64MiB". ParseSize reads
// it back.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.unit == 0 {
			return strconv.FormatInt(int64(s/u.unit), 10) + u.name
		}
	}
	return "0B"
}

// MiB returns s in whole MiB, rounded down.
func (s Size) MiB() int { return int(s / MiB) }

// within tells whether s is a whole number of MiB from low to high.
func (s Size) within(low, high Size) bool { return s >= low && s <= high && s%MiB == 0 }

// ParseSize reads a number of bytes with a unit, such as "64MiB" or "1 GiB". The
// number is decimal and whole. A number without a unit is an error, because
// bytes and MiB are too easily confused.
func ParseSize(text string) (Size, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 63)
		if err != nil || n > uint64(math.MaxInt64/u.unit) {
			break
		}
		return Size(n) * u.unit, nil
	}
	return 0, errors.New(`a size with its unit, such as "64MiB"`)
}

// Secret is a text that no output shows: it formats as a placeholder.
type Secret string

// String returns a placeholder.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// Format writes the placeholder for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText returns the placeholder, for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// parse reads text into the place at field. Its error says what is allowed.
func parse(field any, text string) (hint string, err error) {
	switch p := field.(type) {
	case *string:
		hint, err = "UTF-8 text without control characters", plain(text)
		*p = text
	case *Secret:
		hint, err = "UTF-8 text without control characters", plain(text)
		*p = Secret(text)
	case *bool:
		hint = "true or false"
		*p, err = strconv.ParseBool(text)
	case *int:
		hint = "a whole number"
		*p, err = strconv.Atoi(text)
	case *uint64:
		hint = "a whole number from 0"
		*p, err = strconv.ParseUint(text, 10, 64)
	case *time.Duration:
		hint = `a duration with its unit, such as "200ms" or "1m30s"`
		*p, err = time.ParseDuration(text)
	case *Size:
		if *p, err = ParseSize(text); err != nil {
			hint = err.Error()
		}
	case *common.Address:
		hint = "an account as 0x and 40 hex digits"
		*p, err = parseAccount(text)
	case *slog.Level:
		hint = "debug, info, warn or error"
		err = parseLevel(p, text)
	default:
		err = fmt.Errorf("no parser for %T", field)
		hint = err.Error()
	}
	return hint, err
}

// format writes the value at field so that parse reads it back.
func format(field any) string {
	switch p := field.(type) {
	case *string:
		return *p
	case *Secret:
		return p.String()
	case *bool:
		return strconv.FormatBool(*p)
	case *int:
		return strconv.Itoa(*p)
	case *uint64:
		return strconv.FormatUint(*p, 10)
	case *slog.Level:
		return strings.ToLower(p.String())
	case fmt.Stringer: // *time.Duration, *Size, *common.Address
		return p.String()
	default:
		return ""
	}
}

// bare tells whether the value at field stands without quotes in TOML.
func bare(field any) bool {
	switch field.(type) {
	case *bool, *int, *uint64:
		return true
	default:
		return false
	}
}

func plain(text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("not plain text")
	}
	return nil
}

// parseAccount accepts any case, as the checksum of EIP-55 is optional there,
// but not a mixed case that contradicts it.
func parseAccount(text string) (a common.Address, err error) {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(digits) != 2*len(a) {
		return a, errors.New("not an account")
	}
	if _, err := hex.Decode(a[:], []byte(digits)); err != nil {
		return common.Address{}, err
	}
	mixed := digits != strings.ToLower(digits) && digits != strings.ToUpper(digits)
	if mixed && a.Hex() != text {
		return common.Address{}, errors.New("wrong checksum")
	}
	return a, nil
}

func parseLevel(p *slog.Level, text string) error {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(text, level.String()) {
			*p = level
			return nil
		}
	}
	return errors.New("no such level")
}

func hostPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func loopback(addr string) bool {
	if !hostPort(addr) {
		return false
	}
	host, _, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// clip shortens a value that is repeated in an error.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// printable makes text fit for a comment of one line.
func printable(text string) string {
	if plain(text) == nil {
		return text
	}
	return strconv.QuoteToASCII(text)
}

// quote writes text as a TOML basic string of one line. Text that is not UTF-8
// has no such string; its wrong bytes come out as U+FFFD.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// httpURL reports whether text is the address of an HTTP server that holds no secret.
func httpURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}
