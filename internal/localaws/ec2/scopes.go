package ec2

import (
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// tables are the records of all accounts and regions, as the state store has them.
type tables struct {
	instances  *state.Table[*instanceRecord]
	volumes    *state.Table[*volumeRecord]
	snapshots  *state.Table[*snapshotRecord]
	images     *state.Table[*imageRecord]
	vpcs       *state.Table[*vpcRecord]
	subnets    *state.Table[*subnetRecord]
	groups     *state.Table[*groupRecord]
	keys       *state.Table[*keyRecord]
	templates  *state.Table[*templateRecord]
	spots      *state.Table[*spotRecord]
	rootTasks  *state.Table[*rootTaskRecord]
	interfaces *state.Table[*interfaceRecord]
	elastic    *state.Table[*addressRecord]
	reports    *state.Table[*reportRecord]
	tokens     *state.Table[*tokenRecord]
	gone       *state.Table[*goneRecord]
	contents   *state.Table[*content]
	settings   *state.Table[string]
}

type scopeKey struct{ account, region string }

// scope is what one account sees in one region.
type scope struct {
	key        scopeKey
	shared     *region
	zones      []string
	zoneIDs    []string
	vpc        *vpcRecord
	instances  *collection[*instanceRecord]
	volumes    *collection[*volumeRecord]
	vpcs       *collection[*vpcRecord]
	subnets    *collection[*subnetRecord]
	groups     *collection[*groupRecord]
	keyPairs   *collection[*keyRecord]
	templates  *collection[*templateRecord]
	spots      *collection[*spotRecord]
	reports    *collection[*reportRecord]
	rootTasks  *collection[*rootTaskRecord]
	interfaces *collection[*interfaceRecord]
	elastic    *collection[*addressRecord]
	addresses  map[string]string // private IP → instance id
	cursor     map[string]int    // subnet id → where to look for the next address
}

// region is what accounts can share in one region.
type region struct {
	images    *collection[*imageRecord]
	snapshots *collection[*snapshotRecord]
}

func (s *Service) load() error {
	store, t := s.env.Store, &s.tables
	var err error
	open := func(e error) {
		if err == nil {
			err = e
		}
	}
	open(table(store, "ec2-instances", &t.instances))
	open(table(store, "ec2-volumes", &t.volumes))
	open(table(store, "ec2-snapshots", &t.snapshots))
	open(table(store, "ec2-images", &t.images))
	open(table(store, "ec2-vpcs", &t.vpcs))
	open(table(store, "ec2-subnets", &t.subnets))
	open(table(store, "ec2-groups", &t.groups))
	open(table(store, "ec2-keys", &t.keys))
	open(table(store, "ec2-templates", &t.templates))
	open(table(store, "ec2-spots", &t.spots))
	open(table(store, "ec2-usage-reports", &t.reports))
	open(table(store, "ec2-root-tasks", &t.rootTasks))
	open(table(store, "ec2-interfaces", &t.interfaces))
	open(table(store, "ec2-addresses", &t.elastic))
	open(table(store, "ec2-tokens", &t.tokens))
	open(table(store, "ec2-gone", &t.gone))
	open(table(store, "ec2-contents", &t.contents))
	open(table(store, "ec2-settings", &t.settings))
	if err != nil {
		return err
	}
	if err := s.loadFaults(); err != nil {
		return err
	}
	s.distribute()
	return nil
}

func table[T any](store *state.Store, name string, into **state.Table[T]) error {
	opened, err := state.NewTable[T](store, name)
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	*into = opened
	return nil
}

// distribute hands the loaded records to the scopes that they belong to.
func (s *Service) distribute() {
	spread(s, s.tables.vpcs, func(b *base) *collection[*vpcRecord] { return s.bareScope(b).vpcs })
	spread(s, s.tables.subnets, func(b *base) *collection[*subnetRecord] { return s.bareScope(b).subnets })
	spread(s, s.tables.groups, func(b *base) *collection[*groupRecord] { return s.bareScope(b).groups })
	spread(s, s.tables.keys, func(b *base) *collection[*keyRecord] { return s.bareScope(b).keyPairs })
	spread(s, s.tables.templates, func(b *base) *collection[*templateRecord] { return s.bareScope(b).templates })
	spread(s, s.tables.spots, func(b *base) *collection[*spotRecord] { return s.bareScope(b).spots })
	spread(s, s.tables.reports, func(b *base) *collection[*reportRecord] { return s.bareScope(b).reports })
	spread(s, s.tables.rootTasks, func(b *base) *collection[*rootTaskRecord] { return s.bareScope(b).rootTasks })
	spread(s, s.tables.interfaces, func(b *base) *collection[*interfaceRecord] { return s.bareScope(b).interfaces })
	spread(s, s.tables.elastic, func(b *base) *collection[*addressRecord] { return s.bareScope(b).elastic })
	spread(s, s.tables.volumes, func(b *base) *collection[*volumeRecord] { return s.bareScope(b).volumes })
	spread(s, s.tables.instances, func(b *base) *collection[*instanceRecord] { return s.bareScope(b).instances })
	spread(s, s.tables.images, func(b *base) *collection[*imageRecord] { return s.region(b.Region).images })
	spread(s, s.tables.snapshots, func(b *base) *collection[*snapshotRecord] { return s.region(b.Region).snapshots })
	for _, scope := range s.scopes {
		for _, vpc := range scope.vpcs.order {
			scope.vpc = vpc
		}
		for _, instance := range scope.instances.order {
			if instance.State != stateTerminated {
				scope.addresses[instance.PrivateIP] = instance.ID
			}
		}
		for _, n := range scope.interfaces.order {
			scope.addresses[n.PrivateIP] = n.ID
			if i, ok := scope.instances.get(n.InstanceID); ok {
				i.secondary = append(i.secondary, n)
			}
		}
	}
}

func spread[T record](s *Service, t *state.Table[T], home func(*base) *collection[T]) {
	for _, r := range t.All() {
		b := r.common()
		s.sequence = max(s.sequence, b.Sequence)
		home(b).hold(r)
	}
}

func (s *Service) region(name string) *region {
	r, ok := s.regions[name]
	if !ok {
		r = &region{images: newCollection(s.tables.images), snapshots: newCollection(s.tables.snapshots)}
		s.regions[name] = r
	}
	return r
}

// scope is the account's view of the region; the first look makes its default VPC.
func (s *Service) scope(account, regionName string) *scope {
	sc := s.bareScope(&base{Account: account, Region: regionName})
	if sc.vpc == nil {
		s.makeDefaultVPC(sc)
	}
	return sc
}

func (s *Service) bareScope(b *base) *scope {
	key := scopeKey{b.Account, b.Region}
	sc, ok := s.scopes[key]
	if ok {
		return sc
	}
	sc = &scope{
		key: key, shared: s.region(b.Region),
		instances: newCollection(s.tables.instances), volumes: newCollection(s.tables.volumes),
		vpcs: newCollection(s.tables.vpcs), subnets: newCollection(s.tables.subnets), groups: newCollection(s.tables.groups),
		keyPairs: newCollection(s.tables.keys), templates: newCollection(s.tables.templates), spots: newCollection(s.tables.spots),
		reports: newCollection(s.tables.reports), rootTasks: newCollection(s.tables.rootTasks), interfaces: newCollection(s.tables.interfaces), elastic: newCollection(s.tables.elastic),
		addresses: map[string]string{}, cursor: map[string]int{},
	}
	if r, ok := regionNamed(b.Region); ok {
		sc.zones, sc.zoneIDs = r.Zones(), r.ZoneIDs[:]
	}
	s.scopes[key] = sc
	return sc
}

// newBase begins a record of the scope.
func (s *Service) newBase(sc *scope, id string, tags []Tag) base {
	return base{ID: id, Account: sc.key.account, Region: sc.key.region, Sequence: s.nextSequence(), Tags: tags}
}

func (s *Service) makeDefaultVPC(sc *scope) {
	id := func(prefix, what string) string {
		return seed.ID(prefix, s.env.Seed, sc.key.account, sc.key.region, what)
	}
	sc.vpc = &vpcRecord{base: s.newBase(sc, id("vpc", "default"), nil), CIDR: "172.31.0.0/16"}
	sc.vpcs.put(sc.vpc)
	for i, zone := range sc.zones {
		sc.subnets.put(&subnetRecord{
			base: s.newBase(sc, id("subnet", zone), nil), VPCID: sc.vpc.ID, Zone: zone, ZoneID: sc.zoneIDs[i],
			CIDR: fmt.Sprintf("172.31.%d.0/20", 16*i),
		})
	}
	sc.groups.put(&groupRecord{
		base: s.newBase(sc, id("sg", "default"), nil), Name: "default", Description: "default VPC security group", VPCID: sc.vpc.ID,
	})
}

// seedImages puts the public AMIs where the state does not have them yet.
func (s *Service) seedImages() {
	for _, r := range seed.Regions() {
		shared := s.region(r.Name)
		for _, image := range seed.Images(r.Name, s.env.Seed) {
			if _, ok := shared.images.get(image.ID); !ok {
				s.addPublicImage(shared, r.Name, image)
			}
		}
	}
}

func (s *Service) addPublicImage(shared *region, regionName string, image seed.Image) {
	common := func(id string) base {
		return base{ID: id, Account: image.Owner, Region: regionName, Sequence: s.nextSequence()}
	}
	shared.snapshots.put(&snapshotRecord{
		base: common(image.SnapshotID), VolumeID: "vol-ffffffff", SizeGiB: image.SizeGiB, Description: image.Name,
		Started: image.Created, State: "completed", Captured: true, Users: []string{"all"},
	})
	shared.images.put(&imageRecord{
		base: common(image.ID), Name: image.Name, Description: image.Description, OwnerAlias: image.OwnerAlias,
		Architecture: image.Architecture, Platform: image.Platform, Details: image.PlatformDetails,
		UsageOperation: image.UsageOperation, Distribution: image.Distribution, RootDevice: image.RootDevice,
		BootMode: image.BootMode, Created: image.Created, State: "available", IMDSSupport: "v2.0",
		Deprecation: image.Created.Add(2 * 365 * 24 * time.Hour), Permissions: []launchPermission{{Group: "all"}},
		Devices: []imageDevice{{
			Device: image.RootDevice, SnapshotID: image.SnapshotID, SizeGiB: image.SizeGiB, Type: "gp3", IOPS: 3000,
			Throughput: 125, DeleteOnTermination: true,
		}},
		SeedLine: image.Line, Parameters: image.Parameters,
	})
}
