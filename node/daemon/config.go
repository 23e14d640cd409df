// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"croft/ebpf"
	"croft/ebpf/audit/store"
	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/wire"
	"croft/sandbox/swarm/stream"
)

// maxContact is the size in bytes of what an owner says of where to reach him: it
// goes with every answer about packets.
const maxContact = 200

// Config is a node's configuration: the file croft.toml, all of it optional,
// with what the command line adds.
type Config struct {
	Name    string         // display name, such as uni-a/n1; the host's name unless told
	State   string         // the state directory
	Listen  []string       // multiaddrs
	Join    []string       // multiaddrs with peer ids of nodes to join by
	Profile Profile        // what addresses count as reachable
	Open    []netip.Prefix // closed ranges that slivers may reach all the same
	Visitor bool           // host nothing
	Bounds  Bounds

	Attributes Attributes
	Labels     map[string]string
	Capacity   lease.RSet // what may be leased; zero: half of the machine
	Commons    lease.RSet // what one principal may have of the commons; zero: the defaults
	SiteCert   []byte     // signed by the site's key
	SiteFile   string     // where that is, for the next one
	Resolver   []netip.AddrPort
	Runtime    string                // path of runc; empty: found
	Courtesy   string                // where the courtesy page is, as :4080; empty: nowhere
	Contact    string                // where the owner can be reached, for whom slivers send packets to
	Roles      map[string]RoleConfig // by role; what is missing is as the defaults
	Keep       KeepConfig            // for whom slices are kept
	Policy     string                // the owner's policy; empty: policy.toml in the state directory, if it is there
	Updates    UpdatesConfig
	Founders   []lease.Principal // nodes and people that founded the network; none: those of Join
}

// Bounds are limits of the daemon that an owner may want otherwise.
type Bounds struct {
	Places   int   // slivers at once
	FlowsNew int   // flows that one sliver opens in a second; 0: no limit
	FanOut   int   // distinct remote addresses of one sliver in a minute; 0: no limit
	Blobs    int64 // bytes of blobs kept
	Images   int64 // bit/s at which images go to other nodes, all together; 0: none do
	Audit    int64 // bytes of audit record kept

	// Segment is how long the record is open before the node commits to it, and how
	// often as a witness it asks others for what they committed to.
	Segment time.Duration

	Connections int             // of the overlay, above which the least useful are dropped
	Relay       wire.RelayQuota // what is carried for nodes behind NAT
}

// Profile says in what kind of network the node lives.
type Profile string

const (
	ProfilePublic Profile = "public" // private addresses are neither told nor dialled
	ProfileLAN    Profile = "lan"    // private addresses count
	ProfileLab    Profile = "lab"    // the lab's fabric counts
)

// Attributes are the node's claims about itself.
type Attributes struct {
	Country string  `toml:"country"`
	Region  string  `toml:"region"`
	City    string  `toml:"city"`
	Lat     float64 `toml:"lat"`
	Lon     float64 `toml:"lon"`
	AS      uint32  `toml:"as"`
}

// ErrConfig says that a configuration cannot be used, where and why.
var ErrConfig = errors.New("bad configuration")

// file is croft.toml.
type file struct {
	Name       string               `toml:"name"`
	Listen     []string             `toml:"listen"`
	Join       []string             `toml:"join"`
	Profile    Profile              `toml:"profile"`
	Open       []string             `toml:"open"`
	Visitor    bool                 `toml:"visitor"`
	Resolver   []string             `toml:"resolver"`
	Runtime    string               `toml:"runtime"`
	SiteCert   string               `toml:"site_cert"`
	Policy     string               `toml:"policy"`
	Places     int                  `toml:"places"`
	BlobQuota  string               `toml:"blob_quota"`
	ImageRate  string               `toml:"image_rate"`
	AuditQuota string               `toml:"audit_quota"`
	Conns      int                  `toml:"connections"`
	Attributes Attributes           `toml:"attributes"`
	Labels     map[string]string    `toml:"labels"`
	Capacity   map[string]string    `toml:"capacity"`
	Commons    map[string]string    `toml:"commons"`
	Slivers    sliverTable          `toml:"slivers"`
	Relay      relayTable           `toml:"relay"`
	Audit      auditTable           `toml:"audit"`
	Roles      map[string]roleTable `toml:"roles"`
	Updates    updatesTable         `toml:"updates"`
	Founders   []string             `toml:"founders"`
	Keep       keepTable            `toml:"keep"`
}

// sliverTable is what holds for each sliver although no lease states it.
type sliverTable struct {
	FlowsNew int `toml:"flows-new"`
	FanOut   int `toml:"fan-out"`
}

// relayTable is what the node carries for others that nobody can reach.
type relayTable struct {
	Nodes int    `toml:"nodes"`
	Rate  string `toml:"rate"`
	Daily string `toml:"daily"`
}

// auditTable is what the node tells those whom its slivers send packets to, and
// when it commits to what it recorded of them.
type auditTable struct {
	Segment  string `toml:"segment"`
	Courtesy string `toml:"courtesy"`
	Contact  string `toml:"contact"`
}

// DefaultConfig is what a node without a file does.
func DefaultConfig() Config {
	name, err := os.Hostname()
	if err != nil {
		name = "node"
	}
	return Config{
		Name:    name,
		State:   "/var/lib/croft",
		Listen:  []string{"/ip4/0.0.0.0/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/4001", "/ip6/::/udp/4001/quic-v1", "/ip6/::/tcp/4001"},
		Profile: ProfilePublic,
		Bounds: Bounds{Places: 64, FlowsNew: defaultFlowsNew, FanOut: defaultFanOut, Blobs: 8 << 30, Images: stream.DefaultRate * 8, Audit: 4 << 30, Segment: store.DefaultSpan,
			Connections: wire.DefaultConnections, Relay: wire.RelayQuota{Nodes: 32, Rate: 8e6, Daily: 10 << 30}},
	}
}

// ReadConfig lays the file at path over cfg. Relative paths in it start at the
// file's own directory.
func ReadConfig(cfg Config, path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return cfg, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	cfg, err = ParseConfig(cfg, text, filepath.Dir(path))
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, nil
}

// ParseConfig lays the text of a file over cfg. An unknown key is an error.
func ParseConfig(cfg Config, text []byte, dir string) (Config, error) {
	f := file{Name: cfg.Name, Listen: cfg.Listen, Join: cfg.Join, Profile: cfg.Profile, Places: cfg.Bounds.Places, Conns: cfg.Bounds.Connections, Relay: relayTable{Nodes: cfg.Bounds.Relay.Nodes},
		Attributes: cfg.Attributes, Slivers: sliverTable{cfg.Bounds.FlowsNew, cfg.Bounds.FanOut}, Audit: auditTable{Courtesy: cfg.Courtesy, Contact: cfg.Contact}}
	dec := toml.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return cfg, tomlError(err)
	}
	cfg.Name, cfg.Listen, cfg.Join, cfg.Profile = f.Name, f.Listen, f.Join, f.Profile
	cfg.Visitor, cfg.Runtime, cfg.Attributes, cfg.Labels = f.Visitor, f.Runtime, f.Attributes, f.Labels
	cfg.Bounds.Places, cfg.Bounds.FlowsNew, cfg.Bounds.FanOut, cfg.Courtesy, cfg.Contact = f.Places, f.Slivers.FlowsNew, f.Slivers.FanOut, f.Audit.Courtesy, f.Audit.Contact
	cfg.Bounds.Connections, cfg.Bounds.Relay.Nodes = f.Conns, f.Relay.Nodes
	var errs []error
	set := func(err error) { errs = append(errs, err) }
	set(check(cfg))
	set(principals(&cfg.Founders, f.Founders))
	set(prefixes(&cfg.Open, f.Open))
	set(addrPorts(&cfg.Resolver, f.Resolver))
	if len(f.Capacity) > 0 { // what the file does not name is as without it
		cfg.Capacity = defaultCapacity(machine(cfg.State))
	}
	set(amounts(&cfg.Capacity, "capacity", f.Capacity))
	set(amounts(&cfg.Commons, "commons", f.Commons))
	set(octets(&cfg.Bounds.Blobs, "blob_quota", f.BlobQuota))
	set(imageRate(&cfg.Bounds.Images, f.ImageRate))
	set(octets(&cfg.Bounds.Audit, "audit_quota", f.AuditQuota))
	set(carried(&cfg.Bounds.Relay, f.Relay))
	set(segment(&cfg.Bounds.Segment, f.Audit.Segment))
	set(handed(&cfg.Roles, f.Roles))
	set(published(&cfg.Updates, f.Updates))
	set(kept(&cfg.Keep, f.Keep))
	if f.SiteCert != "" {
		if !filepath.IsAbs(f.SiteCert) {
			f.SiteCert = filepath.Join(dir, f.SiteCert)
		}
		cert, err := os.ReadFile(f.SiteCert)
		set(err)
		cfg.SiteCert, cfg.SiteFile = cert, f.SiteCert
	}
	if cfg.Policy = f.Policy; f.Policy != "" && !filepath.IsAbs(f.Policy) {
		cfg.Policy = filepath.Join(dir, f.Policy)
	}
	if err := errors.Join(errs...); err != nil {
		return cfg, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return cfg, nil
}

func tomlError(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		e := strict.Errors[0]
		line, col := e.Position()
		return fmt.Errorf("%w: line %d, column %d: unknown key %q", ErrConfig, line, col, joinKey(e.Key()))
	}
	var dec *toml.DecodeError
	if errors.As(err, &dec) {
		line, col := dec.Position()
		return fmt.Errorf("%w: line %d, column %d: %s", ErrConfig, line, col, dec.Error())
	}
	return fmt.Errorf("%w: %w", ErrConfig, err)
}

func joinKey(key toml.Key) string {
	s := ""
	for i, part := range key {
		if i > 0 {
			s += "."
		}
		s += part
	}
	return s
}

func check(cfg Config) error {
	switch {
	case cfg.Profile != ProfilePublic && cfg.Profile != ProfileLAN && cfg.Profile != ProfileLab:
		return fmt.Errorf("profile %q: want public, lan or lab", cfg.Profile)
	case cfg.Bounds.Places < 1 || cfg.Bounds.Places > slivernet.MaxPlaces:
		return fmt.Errorf("places = %d: want 1 to %d", cfg.Bounds.Places, slivernet.MaxPlaces)
	case cfg.Bounds.FlowsNew < 0 || cfg.Bounds.FlowsNew > ebpf.MaxFlowRate:
		return fmt.Errorf("[slivers] flows-new = %d: want 0 to %d", cfg.Bounds.FlowsNew, ebpf.MaxFlowRate)
	case cfg.Bounds.FanOut < 0 || cfg.Bounds.FanOut > ebpf.MaxFanOut:
		return fmt.Errorf("[slivers] fan-out = %d: want 0 to %d", cfg.Bounds.FanOut, ebpf.MaxFanOut)
	case cfg.Bounds.Connections < wire.LeastConnections || cfg.Bounds.Connections > wire.MostConnections:
		return fmt.Errorf("connections = %d: want %d to %d", cfg.Bounds.Connections, wire.LeastConnections, wire.MostConnections)
	case cfg.Bounds.Relay.Nodes < 0 || cfg.Bounds.Relay.Nodes > wire.MostRelayed:
		return fmt.Errorf("[relay] nodes = %d: want 0 to %d", cfg.Bounds.Relay.Nodes, wire.MostRelayed)
	case len(cfg.Name) > offer.MaxName:
		return fmt.Errorf("name of %d bytes, limit %d", len(cfg.Name), offer.MaxName)
	case len(cfg.Contact) > maxContact || strings.ContainsFunc(cfg.Contact, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("[audit] contact: want one line of at most %d bytes", maxContact)
	case cfg.Courtesy != "":
		_, err := courtesyAt(cfg.Courtesy)
		return err
	}
	return nil
}

func prefixes(dst *[]netip.Prefix, in []string) error {
	for _, s := range in {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		*dst = append(*dst, p)
	}
	return nil
}

func addrPorts(dst *[]netip.AddrPort, in []string) error {
	for _, s := range in {
		a, err := netip.ParseAddrPort(s)
		if err != nil {
			return fmt.Errorf("resolver: %w", err)
		}
		*dst = append(*dst, a)
	}
	return nil
}

func amounts(dst *lease.RSet, table string, in map[string]string) error {
	names := make([]string, 0, len(in))
	for name := range in {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		r, err := lease.ParseResource(name)
		if err != nil {
			return fmt.Errorf("[%s]: %w", table, err)
		}
		if dst[r], err = r.ParseAmount(in[name]); err != nil {
			return fmt.Errorf("[%s]: %w", table, err)
		}
	}
	return nil
}

func octets(dst *int64, key, s string) error {
	if s == "" {
		return nil
	}
	v, err := lease.Disk.ParseAmount(s)
	if err != nil {
		return fmt.Errorf("%s = %q: want bytes such as 8GiB", key, s)
	}
	*dst = int64(v)
	return nil
}

// carried reads how much is carried for others.
func carried(dst *wire.RelayQuota, t relayTable) error {
	if t.Rate != "" {
		v, err := lease.EgressRate.ParseAmount(t.Rate)
		if err != nil || v == 0 || v > 1<<40 {
			return fmt.Errorf("[relay] rate = %q: want bit/s such as 8mbit", t.Rate)
		}
		dst.Rate = int64(v)
	}
	return octets(&dst.Daily, "[relay] daily", t.Daily)
}

// imageRate reads how fast images go to other nodes.
func imageRate(dst *int64, s string) error {
	if s == "" {
		return nil
	}
	v, err := lease.EgressRate.ParseAmount(s)
	if err != nil || v != 0 && v < minImageRate || v > maxImageRate {
		return fmt.Errorf("image_rate = %q: want bit/s such as 50mbit, or 0 to send none", s)
	}
	*dst = int64(v)
	return nil
}

// segment reads how long a segment of the record is.
func segment(dst *time.Duration, s string) error {
	if s == "" {
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < leastSegment || v > store.DefaultSpan {
		return fmt.Errorf("[audit] segment = %q: want %s to %s", s, leastSegment, store.DefaultSpan)
	}
	*dst = v
	return nil
}

// Machine is what a machine has in all, as a default for what may be leased.
type Machine struct {
	Memory, Disk uint64 // bytes
}

// defaultCapacity leases out half of the machine's processors, memory and free
// disk: the rest is the owner's own.
func defaultCapacity(m Machine) (s lease.RSet) {
	s[lease.CPU] = uint64(runtime.NumCPU()) * 1000 / 2
	s[lease.Memory] = m.Memory / 2
	s[lease.Disk] = m.Disk / 2
	s[lease.Pids] = 8192
	s[lease.IO] = 100 << 20
	s[lease.EgressRate], s[lease.IngressRate] = 100e6, 100e6
	s[lease.EgressPackets], s[lease.IngressPackets] = 100_000, 100_000
	s[lease.EgressDaily] = 100 << 30
	s[lease.FlowsNew], s[lease.FlowsLive] = 10_000, 65_536
	s[lease.PortsIn], s[lease.PortsOut] = 256, 16384
	return s
}
