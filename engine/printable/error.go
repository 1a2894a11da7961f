package printable

// Error makes the words of an error printable, and cuts them at the length of a message; what it wraps is still found by
// errors.Is and errors.As. It is for errors of libraries, which hold what the other side said. nil stays nil.
func Error(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); Cut(text, Message) == text {
		return err
	}
	return &outsideError{err}
}

type outsideError struct{ err error }

func (e *outsideError) Error() string { return Cut(e.err.Error(), Message) }
func (e *outsideError) Unwrap() error { return e.err }
