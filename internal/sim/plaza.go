package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
)

// plaza is an image whose versions are baked, distributed, retired and launched beside one another, and an AMI of somebody
// else's that is imported, and in some schedules given back.
type plaza struct {
	spreads map[*wish]spread
	golden  string
	before  string            // how that AMI was
	owned   map[string]string // by Distribute job, the version that it changed last
}

// spread is what a Distribute asks for.
type spread struct {
	regions, accounts []string // beside the home region
	moves, shares     bool     // whether it says anything of regions, of shares
}

const (
	spreading   = "distribute"
	plazaName   = "plaza"
	square      = "square" // the fleet
	goldenName  = "golden"
	thirdRegion = "us-west-2"
)

// drawPlaza draws the bakes, and what is done about their versions meanwhile.
func (p *plan) drawPlaza(d dice) {
	r, base := d.at("plaza"), d.arm64()
	z := &plaza{spreads: map[*wish]spread{}, owned: map[string]string{}}
	p.plaza = z
	name := strings.NewReplacer("name: web", "name: plaza", "name: db", "name: plaza", "/images/web", "/images/plaza", "/images/db", "/images/plaza")
	for i := range 2 + r.IntN(2) {
		w := drawBake(r, base)
		w.name, w.text = plazaName, name.Replace(w.text)
		w.key, w.at = fmt.Sprintf("plaza-bake-%d", i), r.between(0, 3*time.Minute)
		p.wishes = append(p.wishes, w)
	}
	add := func(w *wish, from, to time.Duration) {
		w.key, w.at, w.mayFail = fmt.Sprintf("plaza-%d", len(p.wishes)), r.between(from, to), true
		if r.chance(0.15) {
			w.again = []time.Duration{r.between(0, 10*time.Minute)}
		}
		if r.chance(0.2) {
			w.cancels = []time.Duration{r.between(0, 5*time.Minute)}
		}
		if r.chance(0.2) {
			w.retries = []time.Duration{r.between(5*time.Minute, 15*time.Minute)}
		}
		p.wishes = append(p.wishes, w)
	}
	for range 2 + r.IntN(3) {
		w, s := drawSpread(r)
		z.spreads[w] = s
		add(w, 9*time.Minute, 28*time.Minute)
	}
	for range 1 + r.IntN(2) {
		stages := pick(r, "", "", ", disabled: 4m", ", deprecated: 3m, disabled: 4m")
		add(&wish{kind: "Retire", name: plazaName, text: fmt.Sprintf("kind: Retire\nname: plaza\nspec: {versions: 1%s}\n", stages)}, 12*time.Minute, 28*time.Minute)
	}
	region := pick(r, "", "", "region: "+copyRegion+"\n")
	w := &wish{kind: "Launch", name: square, fleet: square, count: 1 + r.IntN(2)}
	w.text = fmt.Sprintf("kind: Launch\nname: square\n%sspec: {image: %s, count: %d, pools: [{types: [m7g.large]}, {types: [m6g.large]}], server: {}}\n", region, pick(r, "plaza", "plaza", "plaza@1"), w.count)
	add(w, 9*time.Minute, 18*time.Minute)
	if r.chance(0.3) {
		add(&wish{kind: "Terminate", name: "square-down", fleet: square, text: "kind: Terminate\nname: square-down\n" + region + "spec: {fleet: square, all: true}\n"}, 15*time.Minute, 28*time.Minute)
	}
	add(&wish{kind: "Import", name: goldenName, regions: 1, text: "kind: Import\nname: golden\nspec: {image: {ami: %s}}\n"}, 0, 10*time.Minute)
	if r.chance(0.5) {
		add(&wish{kind: "Import", name: goldenName, text: "kind: Import\nname: golden\nspec: {undo: image}\n"}, 5*time.Minute, 25*time.Minute)
	}
}

func drawSpread(r *draw) (*wish, spread) {
	var s spread
	var spec []string
	if number := pick(r, 0, 1, 1, 2); number > 0 {
		spec = append(spec, fmt.Sprintf("version: %d", number))
	}
	if s.moves = r.chance(0.7); s.moves {
		var list []string
		for _, region := range []string{copyRegion, thirdRegion} {
			if r.chance(0.5) {
				s.regions = append(s.regions, region)
				list = append(list, region+": "+pick(r, "{}", "{}", "{kmsKey: alias/images}"))
			}
		}
		spec = append(spec, "regions: {"+strings.Join(list, ", ")+"}")
	}
	if s.shares = !s.moves || r.chance(0.6); s.shares {
		s.accounts = pick(r, nil, []string{"222222222222"}, []string{"333333333333"}, []string{"222222222222", "333333333333"})
		share := "{}"
		if len(s.accounts) > 0 {
			share = "{accounts: ['" + strings.Join(s.accounts, "', '") + "']}"
		}
		spec = append(spec, "share: "+share)
	}
	return &wish{kind: "Distribute", name: plazaName, text: "kind: Distribute\nname: plaza\nspec: {" + strings.Join(spec, ", ") + "}\n"}, s
}

// settle makes somebody else's AMI.
func (z *plaza) settle(ctx context.Context, s *schedule) error {
	own := s.rig.User.EC2.For(jobs.Target{})
	made, err := own.Launch(ctx, cloud.LaunchRequest{Token: "golden", ImageID: s.arm64(), Type: "t4g.small", Min: 1, Max: 1})
	if err != nil {
		return err
	}
	time.Sleep(s.weather.lag + time.Minute)
	z.golden, err = own.Capture(ctx, cloud.CaptureRequest{InstanceID: made[0].ID, Name: "somebody's", NoReboot: true})
	if err != nil {
		return err
	}
	time.Sleep(10 * time.Minute)
	for _, w := range s.plan.wishes {
		if w.kind == "Import" && strings.Contains(w.text, "%s") {
			w.text = fmt.Sprintf(w.text, z.golden)
		}
	}
	z.before = standingOfImage(z.image(s))
	return nil
}

func (z *plaza) image(s *schedule) (found ec2.Image) {
	for _, i := range s.rig.EC2().Inspect().Images {
		if i.ID == z.golden {
			found = i
		}
	}
	return found
}

// standingOfImage is all of an AMI but our tags.
func standingOfImage(i ec2.Image) string {
	tags := maps.Clone(i.Tags)
	maps.DeleteFunc(tags, func(key, _ string) bool { return strings.HasPrefix(key, jobs.TagPrefix) })
	return fmt.Sprint(i.State, " ", i.Snapshots, " ", i.Public, " ", i.Accounts, " ", tags)
}

// watchPlaza notes whose turn it is with a version, and sees that none goes that a server runs which a look had to find.
func (s *schedule) watchPlaza(was, is ledger.Version) {
	if s.plan.plaza != nil && is.Image == plazaName && is.Owner != "" && is.Owner != was.Owner {
		s.mu.Lock()
		s.taken++
		s.turns[is.Owner] = s.taken
		s.plan.plaza.owned[is.Owner] = is.Ref()
		s.mu.Unlock()
	}
	retires := was.State == ledger.Available && (is.State == ledger.Retiring || is.State == ledger.Retired)
	stays := map[string]bool{}
	for _, ami := range is.AMIs() {
		stays[ami.AMI] = true
	}
	for _, ami := range was.AMIs() {
		seen := 10 * time.Minute // a death may lie between the look and what is written after the AMI went
		switch {
		case retires:
			seen = 2 * time.Minute // what a claim writes was looked at in the same claim
		case stays[ami.AMI] || was.State != ledger.Available || ami.AMI == "":
			continue
		}
		if server := s.runs(ami.AMI, seen); server != "" {
			s.violate("%s became %s and %s went, which %s runs", is.Ref(), is.State, ami.AMI, server)
		}
	}
}

// runs gives a living server of the ledger's that runs the AMI, and did so for as long.
func (s *schedule) runs(ami string, since time.Duration) string {
	s.mu.Lock()
	var ids []string
	for _, fleet := range s.slots {
		for _, slot := range []map[string]ledger.Server{fleet.holders, fleet.seconds} {
			for _, server := range slot {
				if server.AMI == ami && s.now()-s.held[server.InstanceID] > since {
					ids = append(ids, server.InstanceID)
				}
			}
		}
	}
	s.mu.Unlock()
	for _, id := range ids {
		if s.lives(id) {
			return id
		}
	}
	return ""
}

// judge: a version is where its last Distribute says, open to whom it says; and somebody else's AMI is as it was.
func (z *plaza) judge(e *end, explained map[string]string) {
	images := map[string]ec2.Image{}
	for _, i := range e.rig.EC2().Inspect().Images {
		images[i.ID] = i
	}
	for _, v := range e.versions[plazaName] {
		for _, ami := range v.AMIs() {
			if ami.Leaving || v.State == ledger.Retiring {
				explained[ami.AMI] = "on its way out"
			}
		}
		if v.State == ledger.Available {
			z.judgeSpread(e, v, images)
		}
	}
	golden := images[z.golden]
	explained[golden.ID] = "somebody's"
	for _, id := range golden.Snapshots {
		explained[id] = "somebody's"
	}
	if is := standingOfImage(golden); is != z.before {
		e.violate("an import changed %s from %q to %q", z.golden, z.before, is)
	}
	named := slices.ContainsFunc(e.versions[goldenName], func(v ledger.Version) bool { return v.State == ledger.Available })
	for key := range golden.Tags {
		if !named && strings.HasPrefix(key, jobs.TagPrefix) {
			e.violate("%s is no version and still carries the tag %s", z.golden, key)
		}
	}
}

func (z *plaza) judgeSpread(e *end, v ledger.Version, images map[string]ec2.Image) {
	moved, shared := z.last(e, v, func(s spread) bool { return s.moves }), z.last(e, v, func(s spread) bool { return s.shares })
	if moved != nil && e.ended[moved.id].State == jobs.Succeeded {
		want := append([]string{v.Home}, z.spreads[moved].regions...)
		slices.Sort(want)
		if have := slices.Sorted(maps.Keys(v.Regions)); !slices.Equal(have, want) {
			e.violate("%s succeeded, and %s is in %v, want %v", moved.id, v.Ref(), have, want)
		}
	}
	var accounts []string
	if w := e.wishOf(v.Job); w != nil && strings.Contains(w.text, "share:") {
		accounts = []string{"222222222222"}
	}
	if shared != nil {
		if e.ended[shared.id].State != jobs.Succeeded {
			return // it may have come half the way
		}
		accounts = z.spreads[shared].accounts
	}
	for region, copied := range v.Regions {
		if have := slices.Sorted(slices.Values(images[copied.AMI].Accounts)); !slices.Equal(have, accounts) {
			e.violate("%s in %s is open to %v, want %v", v.Ref(), region, have, accounts)
		}
	}
}

// last is the Distribute that had its turn with the version last, of those that say something of the sort; nil: none.
func (z *plaza) last(e *end, v ledger.Version, says func(spread) bool) (last *wish) {
	for w, s := range z.spreads {
		if says(s) && z.owned[w.id] == v.Ref() && (last == nil || e.turns[w.id] > e.turns[last.id]) {
			last = w
		}
	}
	return last
}

// distributed: somebody changed where the version is.
func (p *plan) distributed(v ledger.Version) bool {
	return p.plaza != nil && slices.Contains(slices.Collect(maps.Values(p.plaza.owned)), v.Ref())
}
