//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// Supervise keeps the host in dir until it is switched off. It returns at once if the host has a supervisor already.
func Supervise(dir string) error {
	lock, err := tryLock(dir)
	if errors.Is(err, errHeld) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("supervising %s: %w", dir, err)
	}
	defer lock.Close() // not before all is gone: whoever gets the lock may rely on that
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := tidy(dir); err != nil { // what a supervisor left that was killed
		return err
	}
	s := &supervisor{dir: dir, requests: make(chan request)}
	hangUp, err := listen(dir, s.requests)
	if err != nil {
		return fmt.Errorf("supervising %s: %w", dir, err)
	}
	s.run(ctx)
	hangUp()
	return tidy(dir)
}

func tidy(dir string) error {
	c, err := load(dir)
	if err != nil {
		return err
	}
	ctx, cancel := within(switchTimeout)
	defer cancel()
	return clean(ctx, dir, c)
}

// A supervisor decides, in one loop, what happens to its host.
type supervisor struct {
	dir      string
	requests chan request

	life      *life           // nil: the host is off
	again     bool            // boot when this life has ended
	off       bool            // end when this life has ended
	unplugged bool            // the cable is out
	booting   []chan<- string // who waits for systemd to begin
	killing   []chan<- string // who waits for the end of this life
}

func (s *supervisor) run(ctx context.Context) {
	done := ctx.Done()
	for !s.off || s.life != nil {
		var up <-chan int
		var ended <-chan ending
		if s.life != nil {
			up, ended = s.life.up, s.life.ended
		}
		select {
		case r := <-s.requests:
			s.handle(r)
		case pid := <-up:
			s.isUp(pid)
		case e := <-ended:
			s.hasEnded(e)
		case <-done:
			done, s.off = nil, true
			s.kill()
		}
	}
}

func (s *supervisor) handle(r request) {
	switch r.word {
	case "pid":
		r.answer <- s.pid()
	case "boot":
		s.booting = append(s.booting, r.answer)
		s.boot()
	case "kill", "off":
		s.off = s.off || r.word == "off"
		s.killing = append(s.killing, r.answer)
		s.kill()
	case "plug", "unplug":
		s.unplugged = r.word == "unplug"
		r.answer <- verdict(s.setCable())
	default:
		r.answer <- verdict(fmt.Errorf("there is no %q", r.word))
	}
}

func (s *supervisor) pid() string {
	if s.life == nil || s.life.pid == 0 || s.life.doomed {
		return "ok off"
	}
	return "ok " + strconv.Itoa(s.life.pid)
}

// boot sees to it that the host runs, or will: a life that is being ended has to end first.
func (s *supervisor) boot() {
	switch {
	case s.off:
		s.answerBooting(errors.New("it is being switched off"))
	case s.life == nil:
		s.life = begin(s.dir)
	case s.life.doomed:
		s.again = true
	case s.life.pid != 0:
		s.answerBooting(nil)
	}
}

// kill sees to it that the host is off, or will be.
func (s *supervisor) kill() {
	s.again = false
	if s.life == nil {
		s.answerKilling()
		return
	}
	s.life.doomed = true
	s.life.cancel()
}

// isUp plugs the cable in, which until then was out.
func (s *supervisor) isUp(pid int) {
	s.life.pid = pid
	log.Printf("up, pid %d", pid)
	s.answerBooting(s.setCable())
}

// hasEnded decides how it goes on. A host that was killed does not come back by itself, even if it was rebooting.
func (s *supervisor) hasEnded(e ending) {
	log.Print(e)
	again := s.again || e.reboots() && !s.life.doomed
	s.life, s.again = nil, false
	s.answerKilling()
	if again && !s.off {
		s.life = begin(s.dir)
		return
	}
	s.answerBooting(e.asError())
}

func (s *supervisor) setCable() error {
	if s.life == nil || s.life.pid == 0 || s.life.doomed {
		return nil // the next life begins with the cable as it is now
	}
	c, err := load(s.dir)
	if err != nil {
		return err
	}
	return setCable(c.Cable, !s.unplugged)
}

func (s *supervisor) answerBooting(err error) {
	for _, answer := range s.booting {
		answer <- verdict(err)
	}
	s.booting = nil
}

func (s *supervisor) answerKilling() {
	for _, answer := range s.killing {
		answer <- "ok"
	}
	s.killing = nil
}

// clean removes what a host that is off leaves on the machine. It waits for what is still dying.
func clean(ctx context.Context, dir string, c Config) error {
	err := errors.Join(dropCgroups(ctx, dir), dropCable(ctx, c.Cable))
	if err != nil {
		return fmt.Errorf("%s is off, but left %w; try again, and `lab down` in the end", c.Name, err)
	}
	if err := os.Remove(dir + "/" + controlFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is off, but left its socket: %w", c.Name, err)
	}
	return nil
}
