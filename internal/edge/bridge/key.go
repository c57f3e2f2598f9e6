package bridge

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ErrExposed marks a key file that others can read.
var ErrExposed = errors.New("refused: the key file can be read by others")

const (
	maxKeyFile  = 64 << 10
	maxScrypt   = 512 << 20 // bytes of memory that a key file may ask for
	maxPBKDF2   = 10_000_000
	ivDigits    = 32
	derivedKey  = 32
	keyDigits   = 64
	privateBits = 0o077
)

// ReadKey reads the key of an account: go-ethereum's keystore (version 3), which the
// passphrase opens, or 64 hex digits. A file whose mode lets others read it is ErrExposed.
// Errors never hold what is in the file.
func ReadKey(path string, passphrase func() (string, error)) (*ecdsa.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "key file")
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "key file "+path)
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "key file %s is no regular file", path)
	case info.Mode().Perm()&privateBits != 0:
		return nil, fault.New(fault.Invalid, "%w: %s has mode %04o; chmod 600 it", ErrExposed, path, info.Mode().Perm())
	case info.Size() > maxKeyFile:
		return nil, fault.New(fault.Invalid, "key file %s has %d bytes, a key has at most %d", path, info.Size(), maxKeyFile)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "key file "+path)
	}
	data = bytes.TrimSpace(data)
	if !bytes.HasPrefix(data, []byte("{")) {
		return hexKey(path, data)
	}
	text, err := passphrase()
	if err != nil {
		return nil, err
	}
	key, err := openKeystore(data, text)
	return key, fault.Wrap(fault.Invalid, err, "key file "+path)
}

func hexKey(path string, data []byte) (*ecdsa.PrivateKey, error) {
	digits := strings.TrimPrefix(string(data), "0x")
	if len(digits) != keyDigits {
		return nil, fault.New(fault.Invalid, "key file %s is neither a keystore file nor %d hex digits", path, keyDigits)
	}
	key, err := crypto.HexToECDSA(digits)
	if err != nil {
		// The library's error tells which digit is wrong, and so what it is.
		return nil, fault.New(fault.Invalid, "key file %s holds no secp256k1 key in hex", path)
	}
	return key, nil
}

// openKeystore decrypts a keystore file. go-ethereum's reader trusts its parameters, so
// they are checked first.
func openKeystore(data []byte, passphrase string) (*ecdsa.PrivateKey, error) {
	var file struct {
		Version int                 `json:"version"`
		Crypto  keystore.CryptoJSON `json:"crypto"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, errors.New("it is no keystore file: not the JSON of one")
	}
	if file.Version != 3 {
		return nil, errors.New("it is no keystore file of version 3")
	}
	if err := checkKeystore(&file.Crypto); err != nil {
		return nil, err
	}
	plain, err := keystore.DecryptDataV3(file.Crypto, passphrase)
	if errors.Is(err, keystore.ErrDecrypt) {
		return nil, errors.New("the passphrase does not open it")
	}
	if err != nil {
		return nil, err
	}
	key, err := crypto.ToECDSA(plain)
	if err != nil {
		return nil, errors.New("it holds no secp256k1 key")
	}
	return key, nil
}

func checkKeystore(c *keystore.CryptoJSON) error {
	if _, err := hex.DecodeString(c.CipherParams.IV); err != nil || len(c.CipherParams.IV) != ivDigits {
		return errors.New("its cipherparams.iv is not 16 bytes of hex")
	}
	if _, ok := c.KDFParams["salt"].(string); !ok {
		return errors.New("its kdfparams have no salt")
	}
	if _, ok := whole(c.KDFParams["dklen"], derivedKey, 2*derivedKey); !ok {
		return errors.New("its kdfparams.dklen is not between 32 and 64")
	}
	switch c.KDF {
	case "scrypt":
		n, okN := whole(c.KDFParams["n"], 2, maxScrypt)
		r, okR := whole(c.KDFParams["r"], 1, 64)
		_, okP := whole(c.KDFParams["p"], 1, 64)
		if !okN || !okR || !okP || n&(n-1) != 0 || n > maxScrypt/(128*r) {
			return errors.New("its scrypt parameters are none, or ask for more than 512 MiB of memory")
		}
	case "pbkdf2":
		if _, ok := whole(c.KDFParams["c"], 1, maxPBKDF2); !ok {
			return errors.New("its pbkdf2 rounds are not between 1 and 10,000,000")
		}
		if _, ok := c.KDFParams["prf"].(string); !ok {
			return errors.New("its kdfparams have no prf")
		}
	default:
		return errors.New("its key derivation is neither scrypt nor pbkdf2")
	}
	return nil
}

// whole reads a whole number of JSON within bounds.
func whole(v any, least, most int) (int, bool) {
	f, ok := v.(float64)
	if !ok || f != math.Trunc(f) || f < float64(least) || f > float64(most) {
		return 0, false
	}
	return int(f), true
}
