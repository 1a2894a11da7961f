package machine

import (
	"path"
	"strings"
	"time"
)

// A Disk is a file system of a machine: sizes in bytes, and how many files it can hold.
type Disk struct {
	Device, Mount      string
	Size, Free         int64
	Inodes, InodesFree int64
}

// theDisk is what every machine has at first: 40 GiB, three quarters of them free, and as many inodes as ext4 makes.
func theDisk() Disk {
	return Disk{"/dev/sda1", "/", 40 << 30, 30 << 30, 2621440, 2490368}
}

// Mount gives the machine a disk, in the place of the one that was mounted there: of another size, or full.
func (m *Machine) Mount(d Disk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.disks {
		if m.disks[i].Mount == d.Mount {
			m.disks[i] = d
			return
		}
	}
	m.disks = append(m.disks, d)
}

// disk is the file system that a path is on.
func (m *Machine) disk(name string) Disk {
	m.mu.Lock()
	defer m.mu.Unlock()
	best := theDisk()
	for _, d := range m.disks {
		if strings.HasPrefix(name+"/", strings.TrimSuffix(d.Mount, "/")+"/") && len(d.Mount) >= len(best.Mount) {
			best = d
		}
	}
	return best
}

// SetClock makes the machine's clock go wrong: ahead of the true time, or with a negative value behind it.
func (m *Machine) SetClock(ahead time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead = ahead
}

// now is the machine's time.
func (m *Machine) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.ahead).UTC()
}

// A usage is what df says of one disk: blocks of 1024 bytes, or inodes.
type usage struct {
	Disk
	all, free int64
}

func (u usage) percent() int64 {
	if u.all == 0 {
		return 0
	}
	return (100*(u.all-u.free) + u.all - 1) / u.all // df rounds up
}

func df(c *call) int {
	fl, names, ok := c.flags("Pkhmli", "portability inodes", "B", "block-size output", false)
	if !ok {
		return 2
	}
	if len(names) == 0 {
		names = []string{"/"}
	}
	if out := value(fl, "", "output"); out == "avail" {
		c.printf("    Avail\n%9d\n", c.m.disk(c.path(names[0])).Free>>10)
		return 0
	} else if out != "" {
		return c.unknown("--output=" + out)
	}
	inodes := has(fl, "i", "inodes")
	head := "1K-blocks     Used Available Capacity"
	switch {
	case inodes:
		head = "   Inodes  IUsed    IFree IUse%"
	case has(fl, "P", "portability"):
		head = "1024-blocks     Used Available Capacity"
	}
	status, said := 0, false
	for _, name := range names {
		if _, err := c.m.tree.stat(c.p.user, c.path(name), true); err != nil {
			status = c.fail(1, "%s: %s", name, reason(err))
			continue
		}
		if !said {
			c.printf("Filesystem     %s Mounted on\n", head)
			said = true
		}
		d := c.m.disk(c.path(name))
		u := usage{d, d.Size >> 10, d.Free >> 10}
		if inodes {
			u.all, u.free = d.Inodes, d.InodesFree
		}
		c.printf("%-14s %d %d %d %5d%% %s\n", d.Device, u.all, u.all-u.free, u.free, u.percent(), d.Mount)
	}
	return status
}

// fileSystems is stat -f -c %T: the sort of file system that a path is on.
func (c *call) fileSystems(format string, names []string) int {
	if format != "%T" {
		return c.unknown("stat -f without -c %T")
	}
	status := 0
	for _, name := range names {
		full := path.Clean(c.path(name))
		if _, err := c.m.tree.stat(c.p.user, full, true); err != nil {
			status = c.fail(1, "cannot read file system information for '%s': %s", name, reason(err))
			continue
		}
		kind := "ext2/ext3"
		for _, of := range [][2]string{{"/proc", "proc"}, {"/run", "tmpfs"}, {"/dev", "tmpfs"}, {"/sys/fs/cgroup", c.m.cgroup()}} {
			if strings.HasPrefix(full+"/", of[0]+"/") {
				kind = of[1]
			}
		}
		c.printf("%s\n", kind)
	}
	return status
}

// cgroup is the sort of control groups: version 2, as of Debian since 11, unless the directory of a version 1 controller
// is there.
func (m *Machine) cgroup() string {
	if _, err := m.tree.stat("root", "/sys/fs/cgroup/memory", true); err == nil {
		return "tmpfs"
	}
	return "cgroup2fs"
}
