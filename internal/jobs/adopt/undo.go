package adopt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// givenBack says what an undo of the fleet would give back, and what stands against it.
func (a *adoption) givenBack(ctx context.Context) (fleet ledger.Fleet, servers []ledger.Server, why string, err error) {
	fleet, known, err := a.Ledger.GetFleet(ctx, a.job.Name)
	switch {
	case err != nil:
		return fleet, nil, "", err
	case !known:
		return fleet, nil, fmt.Sprintf("there is no fleet %s; see `stampmill fleet list`", a.job.Name), nil
	case fleet.Imported == "":
		return fleet, nil, fmt.Sprintf("the fleet %s was not imported: a Launch made it, a Terminate ends it", a.job.Name), nil
	}
	if servers, err = a.Ledger.Servers(ctx, a.job.Name); err != nil {
		return fleet, nil, "", err
	}
	seconds, err := a.Ledger.Seconds(ctx, a.job.Name)
	var made []int
	for _, server := range slices.Concat(servers, seconds) {
		if server.Incarnation != fleet.Imported {
			made = append(made, server.Ordinal)
		}
	}
	if len(made) > 0 {
		why = fmt.Sprintf("Stampmill launched the servers of the ordinals %s since: terminate them first, or keep the fleet", ordinals.Of(made...))
	}
	return fleet, servers, why, err
}

// ownAgain waits in line for the fleet, and sees that all its servers were imported.
func (a *adoption) ownAgain(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	fleet, _, why, err := a.givenBack(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if fleet.Imported == "" {
		return jobs.Fail("%s", why), nil
	}
	a.progress.Owned = true
	fleet, owned, err := a.Ledger.Own(ctx, turn.Guard(), fleet, turn.Job.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if !owned {
		return jobs.Wait(10*time.Second, "the fleet %s: %s works on it", a.job.Name, fleet.Owner), nil
	}
	fleet, servers, why, err := a.givenBack(ctx) // as it stands now that nobody else changes it
	if err != nil {
		return jobs.Move{}, err
	}
	if why != "" {
		return jobs.Fail("%s", why), nil
	}
	a.progress.Target, a.progress.Imported, a.progress.Count, a.progress.Committed = fleet.Target, fleet.Imported, len(servers), true
	return jobs.Done(), nil
}

// untagServers takes the tags off that the import put on.
func (a *adoption) untagServers(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := a.Ledger.Servers(ctx, a.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	tags := serverTags(a.Installation, a.job.Name, a.progress.Imported)
	for a.progress.Tagged < len(servers) {
		chunk := servers[a.progress.Tagged:min(a.progress.Tagged+tagSize, len(servers))]
		if _, err := a.each(ctx, chunk, tags, a.EC2(a.progress.Target).Untag); err != nil {
			return jobs.Move{}, err
		}
		a.progress.Tagged += len(chunk)
		if err := turn.Save(ctx); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

// forgetAll forgets the servers and the fleet.
func (a *adoption) forgetAll(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if err := a.forgetServers(ctx, turn, a.progress.Imported); err != nil {
		return jobs.Move{}, err
	}
	fleet, known, err := a.Ledger.GetFleet(ctx, a.job.Name)
	if err != nil || !known || fleet.Owner != turn.Job.ID || fleet.Imported != a.progress.Imported {
		return jobs.Done(), err // forgotten by a delivery before this one
	}
	return jobs.Done(), a.Ledger.DeleteFleet(ctx, turn.Guard(), a.job.Name)
}

// versionBack finds the version to give back, and what stands against it.
func (a *adoption) versionBack(ctx context.Context) (v ledger.Version, role, why string, err error) {
	image, known, err := a.Ledger.GetImage(ctx, a.job.Name)
	if err != nil {
		return v, "", "", err
	}
	if !known {
		return v, "", fmt.Sprintf("there is no image %s; see `stampmill image list`", a.job.Name), nil
	}
	versions, err := a.Ledger.Versions(ctx, a.job.Name)
	if err != nil {
		return v, "", "", err
	}
	at := -1
	for i, version := range versions {
		asked := a.spec.Version == version.Number || a.spec.Version == 0
		if asked && version.Imported != "" && version.State != ledger.Abandoned && version.State != ledger.Candidate {
			at = i
		}
	}
	if at < 0 {
		what := a.job.Name
		if a.spec.Version > 0 {
			what = fmt.Sprintf("%s@%d", what, a.spec.Version)
		}
		return v, "", fmt.Sprintf("no version of %s was imported", what), nil
	}
	v = versions[at]
	users, err := a.users(ctx, fmt.Sprintf("%s@%d", v.Image, v.Number))
	if len(users) > 0 {
		why = fmt.Sprintf("%s@%d is in use: %s", v.Image, v.Number, listed(users))
	}
	return v, image.Role, why, err
}

func listed(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 5 {
		names = append(slices.Clone(names[:5]), fmt.Sprintf("and %d more", len(names)-5))
	}
	return fmt.Sprint(names)
}

// users are the fleets that run the version, and the versions that came of it.
func (a *adoption) users(ctx context.Context, ref string) ([]string, error) {
	var users []string
	fleets, err := a.Ledger.ListFleets(ctx)
	if err != nil {
		return nil, err
	}
	for _, fleet := range fleets {
		if fleet.Image == ref {
			users = append(users, "the fleet "+fleet.Name)
			continue
		}
		servers, err := a.Ledger.Servers(ctx, fleet.Name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(servers, func(s ledger.Server) bool { return s.Image == ref }) {
			users = append(users, "servers of the fleet "+fleet.Name)
		}
	}
	images, err := a.Ledger.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		versions, err := a.Ledger.Versions(ctx, image.Name)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if v.Parent == ref && v.State != ledger.Abandoned && v.State != ledger.Retired {
				users = append(users, fmt.Sprintf("%s@%d was made of it", v.Image, v.Number))
			}
		}
	}
	return users, nil
}

func (a *adoption) lookVersion(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	if a.progress.Committed {
		return jobs.Done(), nil
	}
	v, role, why, err := a.versionBack(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if why != "" {
		return jobs.Fail("%s", why), nil
	}
	a.progress.Version, a.progress.Imported, a.progress.Target, a.progress.Committed = &v, v.Imported, jobs.Target{Role: role}, true
	return jobs.Done(), nil
}

// untagVersion takes the tags off the AMI.
func (a *adoption) untagVersion(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	v := a.progress.Version
	tags := without(imageTags(a.Installation, v.Image, a.progress.Imported), v.TagsBefore)
	for region, regional := range v.Regions {
		if err := goneIsDone(a.EC2(a.progress.Target.In(region)).Untag(ctx, []string{regional.AMI}, tags)); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

func (a *adoption) forgetVersion(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	return jobs.Done(), a.Ledger.ForgetVersion(ctx, turn.Guard(), a.progress.Version.Image, a.progress.Version.Number)
}
