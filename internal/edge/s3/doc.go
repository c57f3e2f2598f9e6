// Package s3 keeps the segments of a journal's archive in a bucket of a storage
// that speaks S3, as an [archive.Storage].
//
//	where, err := s3.Parse("s3://bucket/alys/node-1?endpoint=s3.example.net:443&region=eu-1")
//	storage, err := s3.New(where, s3.Options{AccessKey: key, SecretKey: secret})
//	j, err := journal.Open(journal.Options{Dir: dir, Archive: storage})
//
// An object is named prefix/segment. It is put whole, by one request that has its
// size and checksum, from a temporary file, so that the server shows it whole or
// not at all. One that is there with other bytes is never replaced: two copies of
// a journal may share a bucket, and each refers to its segments by size and
// SHA-256. Reading takes ranges; one that goes on where the last one ended fetches
// ahead, and every byte fetched is handed out at most once, so that whoever checks
// a segment twice asks the server twice.
//
// Errors: a server that does not answer, answers 5xx or asks for patience is
// Temporary. An object that is missing or shorter than asked for is Corrupt.
// Refused credentials, a bucket that does not exist and a wrong region are
// Invalid and say which setting to change. No error and no log line has a key.
package s3
