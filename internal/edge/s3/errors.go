package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// The environment variables that hold the keys, as every S3 program has them.
const (
	accessVariable = "AWS_ACCESS_KEY_ID"
	secretVariable = "AWS_SECRET_ACCESS_KEY"
)

// grade gives what the client says of a request a grade and what to do.
func (s *Storage) grade(err error, what string) error {
	if err == nil {
		return nil
	}
	what = fmt.Sprintf("archive storage %s: %s", s.at, what)
	reply := answer(err)
	if reply.StatusCode == 0 { // nobody answered
		return fault.Wrap(fault.Temporary, err, what+": no answer")
	}
	switch reply.Code {
	case minio.NoSuchBucket, minio.InvalidBucketName:
		return fault.Wrap(fault.Invalid, err, what+": the bucket does not exist: create it, or correct journal.archive")
	case minio.InvalidRegion, "AuthorizationHeaderMalformed", "PermanentRedirect":
		return fault.Wrap(fault.Invalid, err, what+": the bucket is in another region: correct region= or endpoint= in journal.archive")
	case "RequestTimeTooSkewed":
		return fault.Wrap(fault.Invalid, err, what+": the clocks of this machine and the server differ too much: set the clock")
	case minio.NoSuchKey:
		return fault.Wrap(fault.Corrupt, err, what+": the object is missing: put it back from a copy, or correct journal.archive")
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "XAdminUserNotFound":
		return s.denied(err, what)
	case "EntityTooLarge":
		return fault.Wrap(fault.Invalid, err, what+": it is too large for one object: archive with a smaller --segment-mib")
	}
	switch code := reply.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return s.denied(err, what)
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500 || code < 300:
		return fault.Wrap(fault.Temporary, err, what+": try again")
	default:
		return fault.Wrap(fault.Invalid, err, what+": the server refuses the request: "+reply.Code)
	}
}

func (s *Storage) denied(err error, what string) error {
	return fault.Wrap(fault.Invalid, err, what+": access is denied: check "+accessVariable+", "+secretVariable+" and what they may do in the bucket")
}

// answer returns what the server said; its StatusCode is 0 when nothing came.
func answer(err error) minio.ErrorResponse {
	var reply minio.ErrorResponse
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &reply) {
		return minio.ErrorResponse{}
	}
	return reply
}
