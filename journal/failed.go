package journal

// Failed is closed when appending ended by a fatal error, which [Journal.Err]
// returns. An appender that waits for other things learns of it here.
func (j *Journal) Failed() <-chan struct{} { return j.failed }
