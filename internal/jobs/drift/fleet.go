package drift

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// fleet compares one fleet.
func (l *look) fleet(ctx context.Context, h here, f ledger.Fleet, m members) Fleet {
	out := Fleet{Name: f.Name, Target: f.Target, Image: f.Image, Group: f.Group, Owner: f.Owner, Count: f.Count, AgeDays: -1, OldestDays: -1}
	fail := func(err error) Fleet {
		out.Error = err.Error()
		return out
	}
	ami, err := l.image(ctx, f, &out)
	if err != nil {
		return fail(err)
	}
	if f.Group != "" {
		if err := l.group(ctx, h, f, ami, &out); err != nil {
			return fail(err)
		}
		return out
	}
	spec, specified := specOf(f)
	named := map[string]bool{}
	for _, row := range m.servers {
		named[row.InstanceID] = true
		i, stands := h.instances[row.InstanceID]
		if !stands {
			if row.InstanceID != "" && row.State != ledger.Leaving {
				out.add(Gone, row, "a server", orText(row.InstanceID, "nothing")+" is not there any more")
			}
			continue
		}
		out.Stand++
		l.server(&out, f, row, i, ami)
		out.age(l.Now(), row, h.images[i.ID])
		if specified {
			compare(&out, spec, row, i)
		}
	}
	if l.UserData {
		if err := l.userData(ctx, h, f, spec, m, &out); err != nil {
			return fail(err)
		}
	}
	out.missing(f, m)
	for _, id := range slices.Sorted(maps.Keys(h.instances)) {
		if i := h.instances[id]; i.Tags[launch.TagFleet] == f.Name && !named[id] && !m.seconds[id] {
			out.Findings = append(out.Findings, Finding{Kind: Unknown, Instance: id, Found: "it carries the fleet's tags, and no ordinal is its"})
		}
	}
	return out
}

// image finds the AMI that the fleet is to run, how old it is, and what is current.
func (l *look) image(ctx context.Context, f ledger.Fleet, out *Fleet) (ami string, err error) {
	name, number, ours := strings.Cut(f.Image, "@")
	n, bad := strconv.Atoi(number)
	if !ours || bad != nil {
		return f.Image, nil //nolint:nilerr // it is an AMI, not a version of ours
	}
	v, known, err := l.Ledger.GetVersion(ctx, name, n)
	if err != nil || !known {
		return "", err
	}
	if out.AgeDays = days(l.Now(), v.Created); v.Created.IsZero() {
		out.AgeDays = -1
	}
	image, known, err := l.Ledger.GetImage(ctx, name)
	if known && image.Current != n && image.Current > 0 {
		out.Current = fmt.Sprintf("%s@%d", name, image.Current)
	}
	return v.For(f.Target, l.Region).AMI, err
}

// server compares what the ledger says of it by itself.
func (l *look) server(out *Fleet, f ledger.Fleet, row ledger.Server, i cloud.Instance, ami string) {
	if row.State == ledger.Leaving || row.State == ledger.Parked {
		return
	}
	// A root volume that was replaced leaves the instance's own AMI as it was: there the ledger knows.
	runs, want := orText(row.AMI, i.ImageID), orText(ami, f.Image)
	if runs != want && row.Image != f.Image {
		out.add(Image, row, f.Image, orText(row.Image, runs))
	}
	if i.State == "stopped" || i.State == "stopping" {
		out.add(Stopped, row, "running", i.State)
	}
	if row.Type != "" && row.Type != i.Type {
		out.add(Type, row, row.Type, i.Type)
	}
	if i.Tags[launch.TagFleet] != f.Name {
		out.add(Tags, row, launch.TagFleet+"="+f.Name, orText(i.Tags[launch.TagFleet], "no such tag"))
	}
}

// missing are the ordinals that a launch would fill: the lowest that are free, as many as the count lacks.
func (out *Fleet) missing(f ledger.Fleet, m members) {
	held := map[int]bool{}
	for _, row := range m.servers {
		held[row.Ordinal] = true
	}
	for ordinal, lacks := 0, f.Count-len(held); lacks > 0; ordinal++ {
		if !held[ordinal] {
			out.Findings = append(out.Findings, Finding{Kind: Missing, Ordinal: &ordinal, Want: "a server", Found: "none"})
			lacks--
		}
	}
}

func (out *Fleet) add(kind Kind, row ledger.Server, want, found string) {
	out.Findings = append(out.Findings, Finding{Kind: kind, Ordinal: &row.Ordinal, Instance: row.InstanceID, Want: want, Found: found})
}

// age notes how old the AMI is that the server runs.
func (out *Fleet) age(now time.Time, row ledger.Server, m cloud.ImageMetadata) {
	s := Server{Ordinal: &row.Ordinal, Instance: row.InstanceID, Image: orText(row.Image, m.ImageID), AgeDays: -1}
	switch {
	case row.AMI != "" && row.AMI != m.ImageID && row.Image == out.Image: // its root volume was replaced
		s.AgeDays = out.AgeDays
	case !m.ImageCreated.IsZero():
		s.AgeDays = days(now, m.ImageCreated)
	}
	out.OldestDays = max(out.OldestDays, s.AgeDays)
	out.Servers = append(out.Servers, s)
}

func days(now, then time.Time) int { return max(0, int(now.Sub(then)/(24*time.Hour))) }

func orText(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
