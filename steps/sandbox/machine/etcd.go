package machine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"path"
	"slices"
	"strings"
)

func etcdCommands() map[string]command {
	return map[string]command{"etcdctl": etcdctl, "etcdutl": etcdutl}
}

// An etcdCall is one run of etcdctl.
type etcdCall struct {
	*call
	flags []flag
}

func etcdctl(c *call) int {
	fl, rest, ok := c.flags("", "cluster", "w", "endpoints cacert cert key write-out dial-timeout command-timeout", false)
	if !ok {
		return 1
	}
	e := &etcdCall{c, fl}
	verb := strings.Join(rest[:min(2, len(rest))], " ")
	if verb == "snapshot status" {
		c.eprintf("Deprecated: Use `etcdutl snapshot status` instead.\n\n")
		return c.snapshotStatus(rest[2:], value(fl, "simple", "w", "write-out"))
	}
	if verb == "version" {
		c.printf("etcdctl version: 3.5.15\nAPI version: 3.5\n")
		return 0
	}
	verbs := map[string]func([]EtcdMember) int{
		"endpoint health": e.health, "endpoint status": e.status, "member list": e.members,
		"alarm list": func([]EtcdMember) int { return 0 },
		"snapshot save": func(m []EtcdMember) int {
			if len(rest) != 3 {
				return c.unknown("snapshot save without a file")
			}
			return e.save(m, rest[2])
		},
	}
	f := verbs[verb]
	if f == nil {
		return c.unknown("etcdctl " + strings.Join(rest, " "))
	}
	asked, st := e.asked()
	if st != 0 {
		return st
	}
	return f(asked)
}

// option is a flag of etcdctl, or its environment variable.
func (e *etcdCall) option(name string) string {
	return value(e.flags, e.getenv("ETCDCTL_"+strings.ToUpper(name)), name)
}

// asked are the members that the endpoints reach. Without the certificates of the cluster nobody answers.
func (e *etcdCall) asked() ([]EtcdMember, int) {
	for _, name := range []string{"cacert", "cert", "key"} {
		file := e.option(name)
		if file == "" {
			return nil, e.refused("context deadline exceeded")
		}
		if _, err := e.m.tree.read(e.p.user, e.path(file)); err != nil {
			e.eprintf("Error: open %s: %s\n", file, strings.ToLower(reason(err)))
			return nil, 128 // ExitBadArgs in etcdctl's cobrautl
		}
	}
	all := e.m.world.EtcdMembers()
	endpoints := e.option("endpoints")
	if endpoints == "" {
		endpoints = "127.0.0.1:2379"
	}
	var asked []EtcdMember
	for url := range strings.SplitSeq(endpoints, ",") {
		i := slices.IndexFunc(all, func(m EtcdMember) bool {
			return m.ClientURL == url || m.Name == e.m.cfg.Name && (strings.HasSuffix(url, "127.0.0.1:2379") || strings.HasSuffix(url, "localhost:2379"))
		})
		var m EtcdMember // nobody listens there
		if i >= 0 {
			m = all[i]
		}
		m.ClientURL = url
		asked = append(asked, m)
	}
	if has(e.flags, "cluster") {
		if !slices.ContainsFunc(asked, func(m EtcdMember) bool { return m.Healthy }) {
			return nil, e.refused("context deadline exceeded")
		}
		return all, 0
	}
	return asked, 0
}

func (e *etcdCall) refused(why string) int {
	e.eprintf("{\"level\":\"warn\",\"msg\":\"retrying of unary invoker failed\",\"error\":\"rpc error: code = Unavailable desc = %s\"}\nError: %s\n", why, why)
	return 1
}

func (c *call) json(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		return c.fail(1, "%v", err)
	}
	c.printf("%s\n", text)
	return 0
}

func (e *etcdCall) health(members []EtcdMember) int {
	status := 0
	type health struct {
		Endpoint string `json:"endpoint"`
		Health   bool   `json:"health"`
		Took     string `json:"took"`
		Error    string `json:"error,omitempty"`
	}
	var list []health
	for _, m := range members {
		h := health{m.ClientURL, m.Healthy, "2.1ms", ""}
		if !m.Healthy {
			h.Error, status = "context deadline exceeded", 1
		}
		list = append(list, h)
	}
	if value(e.flags, "simple", "w", "write-out") == "json" {
		e.json(list)
	} else {
		for _, m := range members {
			if m.Healthy {
				e.printf("%s is healthy: successfully committed proposal: took = 2.1ms\n", m.ClientURL)
			} else {
				e.eprintf("%s is unhealthy: failed to commit proposal: context deadline exceeded\n", m.ClientURL)
			}
		}
	}
	if status != 0 {
		e.eprintf("Error: unhealthy cluster\n")
	}
	return status
}

// What etcdctl prints with -w json, in its order.
type (
	header struct {
		Cluster  uint64 `json:"cluster_id"`
		Member   uint64 `json:"member_id"`
		Revision int64  `json:"revision,omitempty"`
		Term     int    `json:"raft_term"`
	}
	memberStatus struct {
		Header  header `json:"header"`
		Version string `json:"version"`
		Size    int64  `json:"dbSize"`
		Leader  uint64 `json:"leader"`
		Index   int64  `json:"raftIndex"`
		Term    int    `json:"raftTerm"`
		Applied int64  `json:"raftAppliedIndex"`
		InUse   int64  `json:"dbSizeInUse"`
		Learner bool   `json:"isLearner,omitempty"`
	}
	endpointStatus struct {
		Endpoint string
		Status   memberStatus
	}
	member struct {
		ID      uint64
		Name    string   `json:"name"`
		Peers   []string `json:"peerURLs"`
		Clients []string `json:"clientURLs"`
		Learner bool     `json:"isLearner,omitempty"`
	}
	memberList struct {
		Header  header   `json:"header"`
		Members []member `json:"members"`
	}
)

// clusterID is that of every pretend etcd.
const clusterID uint64 = 0xcdf818194e3a8c32

func (e *etcdCall) status(members []EtcdMember) int {
	var leader uint64
	for _, m := range e.m.world.EtcdMembers() {
		if m.Leader {
			leader = m.ID
		}
	}
	var list []endpointStatus
	status := 0
	for _, m := range members {
		if !m.Healthy {
			e.eprintf("Failed to get the status of endpoint %s (context deadline exceeded)\n", m.ClientURL)
			status = 1
			continue
		}
		list = append(list, endpointStatus{m.ClientURL, memberStatus{
			header{clusterID, m.ID, m.Revision, 2}, m.Version, m.DBSize, leader, m.Revision + 10, 2, m.Revision + 10, m.DBSize, m.Learner,
		}})
	}
	if value(e.flags, "simple", "w", "write-out") != "json" {
		for _, m := range members {
			e.printf("%s, %x, %s, %d, %t, %t, 2, %d, %d, \n", m.ClientURL, m.ID, m.Version, m.DBSize, m.Leader, m.Learner, m.Revision+10, m.Revision+10)
		}
		return status
	}
	e.json(list)
	return status
}

func (e *etcdCall) members(asked []EtcdMember) int {
	if !slices.ContainsFunc(asked, func(m EtcdMember) bool { return m.Healthy }) {
		return e.refused("context deadline exceeded")
	}
	var list []member
	for _, m := range e.m.world.EtcdMembers() {
		list = append(list, member{m.ID, m.Name, []string{m.PeerURL}, []string{m.ClientURL}, m.Learner})
	}
	if value(e.flags, "simple", "w", "write-out") == "json" {
		return e.json(memberList{header{clusterID, asked[0].ID, 0, 2}, list})
	}
	for _, m := range e.m.world.EtcdMembers() {
		e.printf("%x, started, %s, %s, %s, %t\n", m.ID, m.Name, m.PeerURL, m.ClientURL, m.Learner)
	}
	return 0
}

// snapshotMagic begins the pretend database in a snapshot; the revision and the number of keys follow it.
const snapshotMagic = "pretend etcd database\x00"

// save writes a snapshot: pages of 512 bytes and the sha256 of them, as etcd does.
func (e *etcdCall) save(members []EtcdMember, name string) int {
	m := members[0]
	if len(members) > 1 {
		var urls []string
		for _, m := range members {
			urls = append(urls, m.ClientURL)
		}
		e.eprintf("Error: snapshot must be requested to one selected node, not multiple %v\n", urls)
		return 5 // ExitInterrupted: what etcdctl 3.5 uses for every fault of a snapshot
	}
	if !m.Healthy {
		return e.refused("context deadline exceeded")
	}
	db := make([]byte, 16*512)
	n := copy(db, snapshotMagic)
	binary.BigEndian.PutUint64(db[n:], uint64(m.Revision))
	binary.BigEndian.PutUint64(db[n+8:], m.ID)
	sum := sha256.Sum256(db)
	file := e.path(name)
	part := file + ".part"
	if i, err := e.m.tree.stat(e.p.user, file, true); err == nil && i.IsDir() {
		e.eprintf("Error: could not open %s: is a directory\n", name)
		return 5
	}
	if _, err := e.m.tree.write(e.p.user, part, append(db, sum[:]...), 0o600); err != nil {
		e.eprintf("Error: could not open %s (open %s: %s)\n", part, part, strings.ToLower(reason(err)))
		return 5
	}
	if err := e.m.tree.rename(e.p.user, part, file); err != nil {
		e.eprintf("Error: could not rename %s to %s (%s)\n", part, file, strings.ToLower(reason(err)))
		return 1
	}
	e.m.record(e.p, EffectSnapshot, "saved %s", path.Clean(file))
	e.printf("Snapshot saved at %s\n", name)
	return 0
}

func etcdutl(c *call) int {
	fl, rest, ok := c.flags("", "", "w", "write-out", false)
	if !ok {
		return 1
	}
	if len(rest) < 2 || rest[0] != "snapshot" || rest[1] != "status" {
		if slices.Equal(rest, []string{"version"}) {
			c.printf("etcdutl version: 3.5.15\nAPI version: 3.5\n")
			return 0
		}
		return c.unknown("etcdutl " + strings.Join(rest, " "))
	}
	return c.snapshotStatus(rest[2:], value(fl, "simple", "w", "write-out"))
}

func (c *call) snapshotStatus(names []string, form string) int {
	if len(names) != 1 {
		c.eprintf("Error: snapshot status requires exactly one argument\n")
		return 128
	}
	data, err := c.slurp(names[0])
	if err != nil {
		c.eprintf("Error: stat %s: %s\n", names[0], strings.ToLower(reason(err)))
		return 1
	}
	if len(data)%512 != 32 || !bytes.HasPrefix(data, []byte(snapshotMagic)) {
		c.eprintf("Error: snapshot file integrity check failed. snapshot file is not whole\n")
		return 1
	}
	revision := binary.BigEndian.Uint64(data[len(snapshotMagic):])
	hash := binary.BigEndian.Uint32(data[len(data)-32:])
	if form == "json" {
		return c.json(map[string]any{"hash": hash, "revision": revision, "totalKey": revision / 3, "totalSize": len(data) - 32})
	}
	c.printf("%x, %d, %d, %d B\n", hash, revision, revision/3, len(data)-32)
	return 0
}
