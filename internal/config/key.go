package config

import (
	"encoding/hex"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Authority returns the BLS secret key of authority-key or of the file that
// authority-key-file names, and nil when neither is set. The file holds 64 hex
// digits, with or without 0x, and white space around them. No error repeats the
// key; their grade is fault.Invalid.
func (c *Config) Authority() (*aura.SecretKey, error) {
	text, from := string(c.AuthorityKey), c.origins["authority-key"].String()
	if c.AuthorityKeyFile != "" {
		data, err := readBounded(c.AuthorityKeyFile, 1024)
		if err != nil {
			return nil, fault.New(fault.Invalid, "authority-key-file %s (%s): %w",
				printable(c.AuthorityKeyFile), c.origins["authority-key-file"], err)
		}
		text, from = string(data), "file "+printable(c.AuthorityKeyFile)
	} else if text == "" {
		return nil, nil
	}
	key, ok := parseKey(text)
	if !ok {
		return nil, fault.New(fault.Invalid,
			"authority key (%s): allowed is 32 bytes as 64 hex digits, above zero and below the group order", from)
	}
	return key, nil
}

func parseKey(text string) (*aura.SecretKey, bool) {
	digits := strings.TrimPrefix(strings.TrimSpace(text), "0x")
	var scalar [32]byte
	if len(digits) != 2*len(scalar) {
		return nil, false
	}
	if _, err := hex.Decode(scalar[:], []byte(digits)); err != nil {
		return nil, false
	}
	key, err := aura.NewSecretKey(scalar)
	return &key, err == nil
}

func validKey(s Secret) bool {
	if s == "" {
		return true
	}
	_, ok := parseKey(string(s))
	return ok
}
