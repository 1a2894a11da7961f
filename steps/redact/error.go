package redact

// Error returns an error that says the same without what looks like a secret, and is the same to errors.Is and errors.As.
func Error(err error) error {
	if err == nil {
		return nil
	}
	said := err.Error()
	if clean := Likely(said); clean != said {
		return &discreet{clean, err}
	}
	return err
}

type discreet struct {
	text string
	err  error
}

func (d *discreet) Error() string { return d.text }

func (d *discreet) Unwrap() error { return d.err }
