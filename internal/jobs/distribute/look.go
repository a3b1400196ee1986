package distribute

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

// survey looks at a version and says what makes it equal to the spec, and what stands in the way.
type survey struct {
	*program
	version  l.Version
	change   Change
	images   map[string]c.Image // by AMI; those that are gone are missing
	wanted   map[string]wanted
	findings []jobs.Finding
}

// look decides what is to be done, and fails where it cannot be: until then nothing is changed.
func (p *program) look(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	s, err := p.survey(ctx, v)
	if err != nil {
		return jobs.Move{}, err
	}
	if why := preflight.Refusal(turn, s.findings); why != "" {
		return jobs.Fail("%s; nothing was changed", why), nil
	}
	line, _, err := p.Ledger.GetImage(ctx, p.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	home := s.images[s.change.Source]
	p.progress.Change, p.progress.Usual = &s.change, line.Usual
	p.progress.Tags, p.progress.Deprecated = maps.Clone(home.Tags), home.DeprecationTime
	maps.DeleteFunc(p.progress.Tags, func(key, _ string) bool {
		return strings.HasPrefix(strings.ToLower(key), "aws:") || strings.HasPrefix(key, jobs.TagPrefix) && !slices.Contains(versionTags, key)
	})
	return jobs.Done(), nil
}

// versionTags are those of our tags that say which version an AMI is of.
var versionTags = []string{bake.TagImage, bake.TagVersion, bake.TagDigest}

// version is the one that the job is about, as it stands. It is refused unless servers may be launched from it.
func (p *program) version(ctx context.Context) (l.Version, error) {
	v, found, err := p.Ledger.GetVersion(ctx, p.job.Name, p.progress.Version)
	switch {
	case err != nil:
		return v, err
	case !found:
		return v, jobs.Fatalf("distribute", p.ref(), "there is no such version", "see `stampmill image show "+p.job.Name+"`")
	case !v.Usable():
		return v, jobs.Fatalf("distribute", p.ref(), fmt.Sprintf("it is %s, expected a version that is verified and available", v.State),
			"see `stampmill image show "+p.job.Name+"`")
	}
	return v, nil
}

func (p *program) survey(ctx context.Context, v l.Version) (*survey, error) {
	s := &survey{program: p, version: v, images: map[string]c.Image{}, wanted: p.spec.wanted()}
	p.progress.Roles = p.roles(v)
	for _, look := range []func(context.Context) error{s.lookHome, s.lookImages, s.lookPlaces, s.lookLoans, s.lookShares, s.lookUsers} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// lookHome finds the region that copies are made of: where the version was baked, or imported.
func (s *survey) lookHome(context.Context) error {
	home := s.version.Home
	if home == "" && len(s.version.Regions) == 1 {
		for region := range s.version.Regions {
			home = region
		}
	}
	home = cmp.Or(home, s.region())
	source := s.version.Regions[home].AMI
	if source == "" {
		return jobs.Fatalf("distribute", s.version.Ref(), "it has no AMI in "+home, "write region: of one that it has: "+strings.Join(slices.Sorted(maps.Keys(s.version.Regions)), ", "))
	}
	s.change = Change{Home: home, Source: source, Replaces: map[string]string{}, Removes: map[string]string{}, Opens: map[string][]string{}, Closes: map[string][]string{}}
	if to, listed := s.spec.Regions[home]; listed && (to.KMSKey != "" || to.Encrypted) {
		s.findings = append(s.findings, jobs.Finding{Field: []any{"regions", home}, Message: s.version.Ref() + " was baked in " + home + ": the AMI there is not copied, and stays under its key",
			Hint: "leave kmsKey and encrypted out there; the builder's volumes of the Bake say how it is encrypted"})
	}
	return nil
}

// lookImages asks EC2 for every AMI that the ledger names.
func (s *survey) lookImages(ctx context.Context) error {
	for _, ami := range s.version.AMIs() {
		found, err := s.ec2(ami.Place()).Images(ctx, ami.AMI)
		if err != nil {
			return err
		}
		for _, i := range found {
			if i.State != "deregistered" {
				s.images[i.ID] = i
			}
		}
	}
	if home := s.images[s.change.Source]; home.State != "available" {
		return jobs.Fatalf("distribute", s.version.Ref(), fmt.Sprintf("its AMI %s in %s is %s", s.change.Source, s.change.Home, cmp.Or(home.State, "gone")), "bake it again")
	}
	return nil
}

// lookPlaces compares where the version is with where it is to be.
func (s *survey) lookPlaces(ctx context.Context) error {
	for _, place := range slices.Sorted(maps.Keys(s.wanted)) {
		if place == s.change.Home {
			continue
		}
		has, there := s.version.At(place)
		if _, stands := s.images[has.AMI]; !there || !stands {
			s.change.Copies = append(s.change.Copies, place)
			continue
		}
		as, err := s.encryptedAs(ctx, place, has)
		if err != nil {
			return err
		}
		if !as {
			s.change.Copies = append(s.change.Copies, place)
			s.change.Replaces[place] = has.AMI
		}
	}
	for _, ami := range s.version.AMIs() {
		place := ami.Place()
		if _, wanted := s.wanted[place]; !wanted && !ami.Leaving && place != s.change.Home && s.spec.names(place) {
			s.change.Removes[place] = ami.AMI
		}
	}
	return s.lookEnabled(ctx)
}

// lookEnabled finds regions for copies that do not exist, or that an account has not enabled.
func (s *survey) lookEnabled(ctx context.Context) error {
	byAccount := map[string][]string{}
	for _, place := range s.change.Copies {
		account, region := l.SplitPlace(place)
		byAccount[account] = append(byAccount[account], region)
	}
	for _, account := range slices.Sorted(maps.Keys(byAccount)) {
		field := []any{"regions"}
		if account != "" {
			field = s.wanted[l.Place(account, byAccount[account][0])].field[:3]
		}
		found, err := preflight.Regions(ctx, s.ec2(l.Place(account, s.change.Home)), byAccount[account], field...)
		if err != nil {
			return err
		}
		s.findings = append(s.findings, found...)
	}
	return nil
}

// lookLoans finds what keeps other accounts from copying: AMIs that are encrypted under a key that they cannot use, and accounts
// that are no others.
func (s *survey) lookLoans(ctx context.Context) error {
	home := s.images[s.change.Source]
	for i, copied := range s.spec.AccountCopies {
		if own := cmp.Or(s.job.Target.Account(), home.OwnerID); copied.account() == own {
			s.findings = append(s.findings, jobs.Finding{Field: []any{"accountCopies", i, "role"}, Message: own + " is the image's own account",
				Hint: "list the regions under regions"})
		}
	}
	s.change.Snapshots = home.Snapshots()
	if len(s.change.borrowers()) == 0 {
		return nil
	}
	snapshots, err := s.ec2(s.change.Home).Snapshots(ctx, s.change.Snapshots...)
	if err != nil {
		return err
	}
	for _, snapshot := range snapshots {
		switch {
		case !snapshot.Encrypted:
		case copies.ManagedKey(snapshot.KMSKey):
			s.findings = append(s.findings, jobs.Finding{Field: []any{"accountCopies"}, Message: fmt.Sprintf(
				"the snapshot %s in %s is encrypted under the AWS-managed key: no other account can copy it", snapshot.ID, s.change.Home),
				Hint: "bake the image under a customer-managed key"})
		default:
			s.findings = append(s.findings, jobs.Finding{Field: []any{"accountCopies"}, Warning: true, Message: fmt.Sprintf(
				"the snapshot %s in %s is encrypted under %s: its key policy has to let the roles of accountCopies use it", snapshot.ID, s.change.Home, snapshot.KMSKey),
				Hint: "kms:DescribeKey, Decrypt, ReEncryptFrom and CreateGrant"})
		}
	}
	return nil
}

// encryptedAs reports whether a copy is encrypted as the spec wants. A spec without a key leaves it as it is. EC2 tells a key
// by its ARN: an alias is compared with what the copy was asked for.
func (s *survey) encryptedAs(ctx context.Context, place string, has l.RegionalCopy) (bool, error) {
	want := s.wanted[place].to
	if want.KMSKey == "" && !want.Encrypted {
		return true, nil
	}
	snapshots, err := s.ec2(place).Snapshots(ctx, s.images[has.AMI].Snapshots()...)
	if err != nil {
		return false, err
	}
	asked := has.KMSKey
	if has.By == "" {
		asked = bakedKey(s.version, place)
	}
	for _, snapshot := range snapshots {
		same := want.KMSKey == "" || want.KMSKey == asked || snapshot.KMSKey == want.KMSKey || strings.HasSuffix(snapshot.KMSKey, "/"+want.KMSKey)
		if !snapshot.Encrypted || !same {
			return false, nil
		}
	}
	return true, nil
}

// bakedKey is the key that the version's Bake asked for in a region.
func bakedKey(v l.Version, region string) string {
	var s struct {
		CopyTo map[string]bake.CopyTo `json:"copyTo"`
	}
	if len(v.Spec) == 0 || json.Unmarshal(v.Spec, &s) != nil {
		return ""
	}
	return s.CopyTo[region].KMSKey
}

// lookShares compares whom each AMI is open to with whom it is to be.
func (s *survey) lookShares(ctx context.Context) error {
	want := s.spec.want()
	for _, ami := range s.version.AMIs() {
		if _, there := s.images[ami.AMI]; !there || ami.Role != "" || s.spec.Share == nil && ami.AMI != s.change.Source {
			continue
		}
		have, err := s.ec2(ami.Region).ImageShares(ctx, ami.AMI)
		if err != nil {
			return err
		}
		if s.spec.Share == nil {
			want = have // of the source: what is copied from it is open to the same
			continue
		}
		s.change.Closes[ami.Region] = list(s.change.Closes[ami.Region], have.Minus(want))
		if s.change.goes(ami) || want.Minus(have).IsZero() {
			continue
		}
		s.change.Opens[ami.Region] = list(s.change.Opens[ami.Region], want.Minus(have))
		why, err := copies.Unshareable(ctx, s.ec2(ami.Region), ami.Region, s.images[ami.AMI].Snapshots(), want.Public)
		if err != nil {
			return err
		}
		if why != "" {
			s.findings = append(s.findings, jobs.Finding{Field: []any{"share"}, Message: why})
		}
	}
	s.change.CopiesFor = want.Principals()
	maps.DeleteFunc(s.change.Opens, func(_ string, who []string) bool { return len(who) == 0 })
	maps.DeleteFunc(s.change.Closes, func(_ string, who []string) bool { return len(who) == 0 })
	return s.lookPublic(ctx, want)
}

func list(has []string, more c.Share) []string {
	all := append(slices.Clone(has), more.Principals()...)
	slices.Sort(all)
	return slices.Compact(all)
}

// lookPublic finds regions in which the account blocks public AMIs.
func (s *survey) lookPublic(ctx context.Context, want c.Share) error {
	regions := slices.DeleteFunc(slices.Clone(s.change.Copies), func(place string) bool {
		account, _ := l.SplitPlace(place)
		return account != ""
	})
	for region, who := range s.change.Opens {
		if slices.Contains(who, c.Everybody) {
			regions = append(regions, region)
		}
	}
	slices.Sort(regions)
	if !want.Public {
		return nil
	}
	for _, region := range slices.Compact(regions) {
		state, err := s.ec2(region).BlockPublicAccess(ctx)
		if err := jobs.Gather(&s.findings, err, "share", "public"); err != nil {
			return err
		}
		if err == nil && state != "unblocked" {
			s.findings = append(s.findings, jobs.Finding{Field: []any{"share", "public"},
				Message: fmt.Sprintf("the account blocks public AMIs in %s (%s)", region, state), Hint: "unblock them, or do not share publicly"})
		}
	}
	return nil
}

// lookUsers finds who uses the copies in places that the spec no longer names.
func (s *survey) lookUsers(ctx context.Context) error {
	for _, ami := range s.version.AMIs() {
		place := ami.Place()
		if _, there := s.images[ami.AMI]; !there || s.change.Removes[place] != ami.AMI {
			continue
		}
		field := "regions"
		if ami.Role != "" {
			field = "accountCopies"
		}
		users, err := s.users(ctx, s.version, ami, false)
		if err := jobs.Gather(&s.findings, err, field); err != nil {
			return err
		}
		if len(users) > 0 {
			s.findings = append(s.findings, jobs.Finding{Field: []any{field},
				Message: fmt.Sprintf("%s in %s, which %s does not list, is in use: %s", ami.AMI, place, field, some(users)),
				Hint:    "roll or terminate what uses it, or list " + place + " among " + field})
		}
	}
	return nil
}

// users names who uses an AMI of the version. The parameter that the version publishes follows by itself.
func (p *program) users(ctx context.Context, v l.Version, ami l.Located, replaced bool) ([]string, error) {
	users, err := p.line().UsersIn(ctx, v, ami, replaced, p.Region)
	published := release.Of(v).Parameter
	return slices.DeleteFunc(users, func(user string) bool {
		return published != "" && ami.Role == "" && strings.HasSuffix(user, ":parameter/"+strings.TrimPrefix(published, "/"))
	}), err
}

func (p *program) line() lifecycle.Line {
	return lifecycle.Line{Image: p.job.Name, Catalog: p.Ledger, EC2: func(role, region string) lifecycle.EC2 {
		return p.ec2(l.Place(jobs.Target{Role: role}.Account(), region))
	}}
}

func some(users []string) string {
	const most = 5
	if len(users) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(users[:most], ", "), len(users)-most)
	}
	return strings.Join(users, ", ")
}
