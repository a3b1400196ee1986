// Package release makes known which version of an image is current: SSM parameters and launch templates follow the
// catalog. What is written is always what is current when it is written, so that two jobs that end together leave the same
// there, whichever writes last.
package release

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Catalog tells what is current.
type Catalog interface {
	GetImage(ctx context.Context, name string) (l.Image, bool, error)
	GetVersion(ctx context.Context, image string, number int) (l.Version, bool, error)
}

// Parameters is one region's Parameter Store.
type Parameters interface {
	Parameter(ctx context.Context, name string) (value string, found bool, err error)
	PutParameter(ctx context.Context, name, value, dataType string) error
}

// Templates is one region's launch templates.
type Templates interface {
	AddTemplateVersion(ctx context.Context, template c.LaunchTemplate, sourceVersion, imageID, token, description string) (version string, err error)
	SetTemplateDefault(ctx context.Context, template c.LaunchTemplate, version string) error
}

// Line is one image, in the account that it is made in.
type Line struct {
	Image   string
	Catalog Catalog
	SSM     func(region string) Parameters
	EC2     func(region string) Templates
	Pace    func(time.Duration) time.Duration
	// Own is a version that the caller made itself, and need not be read; it is optional.
	Own l.Version
}

// Current is the current version. Where there is none yet, it is the caller's own.
func (r Line) Current(ctx context.Context) (l.Version, error) {
	line, _, err := r.Catalog.GetImage(ctx, r.Image)
	if err != nil {
		return l.Version{}, err
	}
	number := line.Current
	if number == 0 || number == r.Own.Number {
		return r.Own, nil
	}
	version, ok, err := r.Catalog.GetVersion(ctx, r.Image, number)
	if err == nil && !ok {
		err = fmt.Errorf("the current version %s@%d is not in the catalog", r.Image, number)
	}
	return version, err
}

// readBack is how long a parameter may take to show what was written: a 200 alone does not prove it.
const readBack = 2 * time.Minute

// Parameter writes the current version's AMI into the parameter of each region, and sees that it is there.
func (r Line) Parameter(ctx context.Context, turn *jobs.Turn, name string, regions []string) (jobs.Move, error) {
	version, err := r.Current(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	waits := ""
	for _, region := range regions {
		want, ssm := version.Regions[region].AMI, r.SSM(region)
		if want == "" {
			turn.Warn("%s is current and has no AMI in %s; the parameter %s there was left alone", version.Ref(), region, name)
			continue
		}
		value, found, err := ssm.Parameter(ctx, name)
		if err != nil {
			return jobs.Move{}, err
		}
		if found && value == want {
			continue
		}
		if err := ssm.PutParameter(ctx, name, want, "aws:ec2:image"); err != nil {
			return jobs.Move{}, err
		}
		waits = region
	}
	if waits == "" {
		return r.StillCurrent(ctx, version.Number)
	}
	if turn.Now().Sub(turn.StepSince()) > readBack {
		return jobs.Fail("the parameter %s in %s does not show the AMI that was written", name, waits), nil
	}
	return jobs.Wait(r.Pace(2*time.Second), "the parameter %s to show the AMI", name), nil
}

// StillCurrent goes on unless another version became current meanwhile.
func (r Line) StillCurrent(ctx context.Context, written int) (jobs.Move, error) {
	line, _, err := r.Catalog.GetImage(ctx, r.Image)
	if err != nil {
		return jobs.Move{}, err
	}
	if line.Current != written {
		return jobs.Wait(time.Second, "the parameter of version %d", line.Current), nil
	}
	return jobs.Done(), nil
}

// Template is a launch template that follows an image.
type Template struct {
	Name          string `json:"name,omitempty"`
	ID            string `json:"id,omitempty"`
	SourceVersion string `json:"sourceVersion,omitempty"`
	SetDefault    bool   `json:"setDefault,omitempty"`
}

// Reference is the template as EC2's calls name it, without a version.
func (t Template) Reference() c.LaunchTemplate { return c.LaunchTemplate{Name: t.Name, ID: t.ID} }

// Source is the version that a new one is based on.
func (t Template) Source() string {
	if t.SourceVersion == "" {
		return "$Default"
	}
	return t.SourceVersion
}

// Wishes are what a version's stored Bake asks to be made known of it, and to be done with it.
type Wishes struct {
	Parameter string
	Template  *Template
	Protected bool
	// Cooldown: the protection stays for a day after it is lifted.
	Cooldown bool
	Share    c.Share
}

// Of reads the wishes of a version. One without a stored spec, such as one that was imported, has none. Whom a Distribute
// opened it to counts more than whom its Bake says.
func Of(v l.Version) Wishes {
	wishes := baked(v)
	if v.Shared != nil {
		wishes.Share = c.ShareWith(v.Shared.With)
	}
	return wishes
}

func baked(v l.Version) Wishes {
	var s struct {
		Publish struct {
			Parameter      string    `json:"parameter"`
			LaunchTemplate *Template `json:"launchTemplate"`
		} `json:"publish"`
		Protect json.RawMessage `json:"protect"`
		Share   struct {
			Accounts      []string `json:"accounts"`
			Organizations []string `json:"organizations"`
			OUs           []string `json:"ous"`
			Public        bool     `json:"public"`
		} `json:"share"`
	}
	if len(v.Spec) == 0 || json.Unmarshal(v.Spec, &s) != nil {
		return Wishes{}
	}
	protect := string(s.Protect)
	var protection struct {
		Cooldown bool `json:"cooldown"`
	}
	cooldown := json.Unmarshal(s.Protect, &protection) == nil && protection.Cooldown
	return Wishes{Parameter: s.Publish.Parameter, Template: s.Publish.LaunchTemplate, Protected: protect != "" && protect != "null" && protect != "false", Cooldown: cooldown,
		Share: c.Share{Accounts: s.Share.Accounts, Organizations: s.Share.Organizations, OUs: s.Share.OUs, Public: s.Share.Public}}
}

// Places are the regions in which a parameter has to follow when what is current moves between the versions: by its name,
// the regions of those that publish it.
func Places(versions ...l.Version) map[string][]string {
	found := map[string]map[string]bool{}
	for _, v := range versions {
		name := Of(v).Parameter
		if name == "" {
			continue
		}
		if found[name] == nil {
			found[name] = map[string]bool{}
		}
		for _, other := range versions {
			for region := range other.Regions {
				found[name][region] = true
			}
		}
	}
	places := map[string][]string{}
	for name, regions := range found {
		places[name] = slices.Sorted(maps.Keys(regions))
	}
	return places
}
