package machine

import (
	"io"
	"strings"
)

// sudo runs a command as root, if the login may: always, with a password, or not at all.
func sudo(c *call) int {
	fl, rest, ok := c.flags("nSkKvHEibls", "non-interactive stdin reset-timestamp validate set-home preserve-env", "pug", "prompt user group", true)
	if !ok {
		return 1
	}
	if status := c.authenticate(fl); status != 0 {
		return status
	}
	var set []string
	for len(rest) > 0 && isAssignment(rest[0]) {
		set, rest = append(set, rest[0]), rest[1:]
	}
	if len(rest) == 0 {
		if has(fl, "v", "k", "K", "l", "validate", "reset-timestamp") {
			return 0
		}
		return c.fail(1, "a command is required")
	}
	user := value(fl, "root", "u", "user")
	kept := []string{}
	for _, kv := range exported(c.env) { // env_reset: only the language and what sudo sets itself
		if strings.HasPrefix(kv, "LANG=") || strings.HasPrefix(kv, "LC_") {
			kept = append(kept, kv)
		}
	}
	kept = append(append(kept, loginEnv(user)...), "PATH="+defaultPath, "SUDO_USER="+c.p.user, "SUDO_UID="+userID(c.p.user))
	child := *c
	child.args = rest
	child.env = child.withEnv(true, nil, append(kept, set...))
	child.ctx, child.p = c.m.spawn(c.ctx, rest[0], cmdline(rest), func(p *proc) { p.user = user })
	defer c.m.end(child.p)
	if file, err := c.m.which("root", defaultPath, c.dir, rest[0]); err != nil || file == "" {
		return c.fail(1, "%s: command not found", rest[0])
	}
	return c.m.execIn(&child)
}

// authenticate asks for the password where one is wanted; 0 means that the login may.
func (c *call) authenticate(fl []flag) int {
	cfg := c.m.cfg
	if c.root() || cfg.SudoPassword == "" && !cfg.SudoRefused {
		return 0
	}
	if has(fl, "n", "non-interactive") {
		return c.fail(1, "a password is required")
	}
	if !has(fl, "S", "stdin") {
		c.fail(1, "a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper")
		return c.fail(1, "a password is required")
	}
	prompt := value(fl, "[sudo] password for "+c.p.user+": ", "p", "prompt")
	for try := range 3 { // passwd_tries
		c.eprintf("%s", prompt)
		word, err := readLine(c.in)
		if err != nil && word == "" {
			c.eprintf("\n")
			if try == 0 {
				c.fail(1, "no password was provided")
			}
			return c.fail(1, "a password is required")
		}
		if word == cfg.SudoPassword {
			if cfg.SudoRefused {
				c.eprintf("%s is not in the sudoers file.\n", c.p.user)
				return 1
			}
			return 0
		}
		c.eprintf("Sorry, try again.\n")
	}
	return c.fail(1, "3 incorrect password attempts")
}

// readLine reads a line byte by byte, so that what follows is left for others.
func readLine(r io.Reader) (string, error) {
	if r == nil {
		return "", io.EOF
	}
	var line []byte
	b := make([]byte, 1)
	for {
		if _, err := io.ReadFull(r, b); err != nil {
			return string(line), err
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
}

// runuser runs a command as another user; only root may.
func runuser(c *call) int {
	fl, rest, ok := c.flags("l", "login", "u", "user", true)
	if !ok {
		return 1
	}
	user := value(fl, "", "u", "user")
	switch {
	case !c.root():
		return c.fail(1, "may not be used by non-root users")
	case user != "root" && user != c.m.cfg.Login:
		return c.fail(1, "user %s does not exist", user)
	case len(rest) == 0:
		return c.fail(1, "no command was specified")
	}
	child := *c
	child.args = rest
	child.ctx, child.p = c.m.spawn(c.ctx, baseName(rest[0]), cmdline(rest), func(p *proc) { p.user = user })
	defer c.m.end(child.p)
	return c.m.execIn(&child)
}
