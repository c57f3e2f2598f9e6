package s3

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Scheme begins the text of an [Address].
const Scheme = "s3://"

const (
	defaultEndpoint = "s3.amazonaws.com"
	defaultRegion   = "us-east-1"
	maxAddress      = 4096
)

// Address is a place in a bucket.
type Address struct {
	Bucket   string
	Prefix   string // without slash at either end; empty for the whole bucket
	Endpoint string // HOST or HOST:PORT
	Region   string
	Insecure bool // HTTP instead of HTTPS
}

// Parse reads s3://BUCKET/PREFIX?endpoint=HOST:PORT&region=NAME&insecure=true.
// All but the bucket may be left out. Its errors do not repeat the text, which
// may have a key in it by mistake.
func Parse(text string) (Address, error) {
	bad := func(format string, args ...any) (Address, error) {
		return Address{}, fault.New(fault.Invalid, "archive address: "+format+"; it is s3://BUCKET/PREFIX?endpoint=HOST:PORT&region=NAME&insecure=true", args...)
	}
	if !strings.HasPrefix(text, Scheme) || len(text) > maxAddress {
		return bad("it does not begin with %s, or is longer than %d bytes", Scheme, maxAddress)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return bad("it is no URL")
	case u.User != nil:
		return bad("it has a user: the keys come from %s and %s in the environment", accessVariable, secretVariable)
	case u.Fragment != "":
		return bad("it has a '#'")
	case s3utils.CheckValidBucketNameStrict(u.Host) != nil:
		return bad("the bucket is missing or not what S3 allows: 3 to 63 small letters, digits, '-' and '.'")
	}
	a := Address{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Endpoint: defaultEndpoint, Region: defaultRegion}
	if len(a.Prefix) > 512 || strings.Contains("/"+a.Prefix+"/", "//") && a.Prefix != "" ||
		strings.Contains("/"+a.Prefix+"/", "/../") || strings.Contains("/"+a.Prefix+"/", "/./") || strings.ContainsFunc(a.Prefix, unprintable) {
		return bad("the prefix is longer than 512 bytes, or has an empty part, '.', '..' or a control character")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad("what follows '?' is no query")
	}
	for name, values := range query {
		if len(values) != 1 || values[0] == "" {
			return bad("a value behind '?' is empty or given twice")
		}
		switch value := values[0]; name {
		case "endpoint":
			a.Endpoint = value
		case "region":
			a.Region = value
		case "insecure":
			if a.Insecure, err = strconv.ParseBool(value); err != nil {
				return bad("insecure is true or false")
			}
		default:
			return bad("only endpoint, region and insecure may follow '?'")
		}
	}
	if !validEndpoint(a.Endpoint) {
		return bad("endpoint is HOST or HOST:PORT")
	}
	if strings.ContainsFunc(a.Region, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return bad("region has a character that none has")
	}
	return a, nil
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }

// validEndpoint accepts a host with or without a port, and nothing around them.
func validEndpoint(text string) bool {
	u, err := url.Parse("http://" + text)
	if err != nil || u.Host != text || u.Hostname() == "" || strings.HasSuffix(text, ":") {
		return false
	}
	port := u.Port()
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// String returns the text that [Parse] reads as a.
func (a Address) String() string {
	q := url.Values{}
	if a.Endpoint != defaultEndpoint {
		q.Set("endpoint", a.Endpoint)
	}
	if a.Region != defaultRegion {
		q.Set("region", a.Region)
	}
	if a.Insecure {
		q.Set("insecure", "true")
	}
	u := url.URL{Scheme: "s3", Host: a.Bucket, RawQuery: strings.ReplaceAll(q.Encode(), "%3A", ":")}
	if a.Prefix != "" {
		u.Path = "/" + a.Prefix
	}
	return u.String()
}

// object returns the key of a segment.
func (a Address) object(name string) string {
	if a.Prefix == "" {
		return name
	}
	return a.Prefix + "/" + name
}
