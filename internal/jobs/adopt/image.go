package adopt

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// imageSurvey is what an import of an AMI finds.
type imageSurvey struct {
	image    cloud.Image
	entry    ledger.Image // as it stands; its zero value: there is none
	version  ledger.Version
	findings []jobs.Finding
}

func (s *imageSurvey) wrong(hint, format string, args ...any) {
	s.findings = append(s.findings, jobs.Finding{Field: []any{"image", "ami"}, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (s *imageSurvey) warn(hint, format string, args ...any) {
	s.findings = append(s.findings, jobs.Finding{Field: []any{"image"}, Message: fmt.Sprintf(format, args...), Hint: hint, Warning: true})
}

func (a *adoption) surveyImage(ctx context.Context) (*imageSurvey, error) {
	s := &imageSurvey{}
	ami := a.spec.Image.AMI
	own, err := a.ec2().OwnImages(ctx, ami)
	if err != nil {
		return nil, err
	}
	if len(own) == 0 {
		visible, err := a.ec2().Images(ctx, ami)
		if err != nil {
			return nil, err
		}
		if len(visible) > 0 {
			s.wrong("copy it into this account first: aws ec2 copy-image", "%s is the account's %s: only an AMI of one's own can be imported", ami, visible[0].OwnerID)
		} else {
			s.wrong("check its id, region and account", "%s is not in this region", ami)
		}
		return s, nil
	}
	s.image = own[0]
	if s.image.State != "available" {
		s.wrong("", "%s is %s, expected available", ami, s.image.State)
	}
	tags := imageTags(a.Installation, a.job.Name, a.job.Incarnation)
	if why, hint := foreign(s.image.Tags, tags); why != "" {
		s.wrong(hint, "%s cannot be imported: %s", ami, why)
	}
	refs, err := a.versions(ctx)
	if err != nil {
		return nil, err
	}
	if ref := refs[ami]; ref != "" {
		s.wrong("", "%s is %s already", ami, ref)
	}
	entry, known, err := a.Ledger.GetImage(ctx, a.job.Name)
	if err != nil {
		return nil, err
	}
	if s.entry = entry; known && entry.Role != a.job.Target.Role {
		s.wrong("choose another name, or name its role", "the image %s is of %s", a.job.Name, orText(entry.Role, "the worker's own account"))
	}
	if a.spec.Image.Bake == nil {
		s.warn("give one with --spec to rebuild it on patch days", "without a Bake spec it can be launched and be a parent, but not rebuilt from source: a Restamp needs patch: for it")
	}
	return s, a.describe(s, refs)
}

// describe makes the version's entry of what the AMI is.
func (a *adoption) describe(s *imageSurvey, refs map[string]string) error {
	s.version = ledger.Version{
		Job: a.job.ID, Incarnation: a.job.Incarnation, Run: a.job.Run, Imported: a.job.Incarnation,
		Regions: map[string]ledger.RegionalCopy{a.region(): {AMI: s.image.ID}}, SourceAMI: s.image.SourceImageID,
		Parent: orText(refs[s.image.SourceImageID], s.image.SourceImageID), Architecture: s.image.Architecture, Platform: s.image.Platform,
		Created: s.image.Created, TagsBefore: carried(s.image.Tags, imageTags(a.Installation, a.job.Name, a.job.Incarnation)),
	}
	if a.spec.Image.Bake == nil {
		return nil
	}
	var err error
	if s.version.Spec, err = json.Marshal(a.spec.Image.Bake); err != nil {
		return jobs.Fatalf("write the Bake spec", a.job.Name, err.Error(), "")
	}
	return nil
}

func (a *adoption) lookImage(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if a.progress.Version != nil {
		return jobs.Done(), nil
	}
	s, err := a.surveyImage(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	var wrong []string
	for _, finding := range s.findings {
		if finding.Warning {
			turn.Warn("%s", finding.String())
		} else {
			wrong = append(wrong, finding.String())
		}
	}
	if len(wrong) > 0 {
		return jobs.Fail("%s", strings.Join(wrong, "; ")), nil
	}
	a.progress.Version = &s.version
	return jobs.Done(), nil
}

// reserve gives the AMI its number: from then on the ledger names it.
func (a *adoption) reserve(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, err := a.Ledger.ReserveVersion(ctx, turn.Guard(), ledger.Image{Name: a.job.Name, Role: a.job.Target.Role, Labels: turn.Job.Labels}, *a.progress.Version)
	if err != nil {
		return jobs.Move{}, err
	}
	a.progress.Version = &v
	turn.Note("%s becomes %s@%d", a.spec.Image.AMI, v.Image, v.Number)
	return jobs.Done(), nil
}

func (a *adoption) tagImage(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	tags := imageTags(a.Installation, a.job.Name, turn.Job.Incarnation)
	return jobs.Done(), a.ec2().Tag(ctx, []string{a.spec.Image.AMI}, without(tags, a.progress.Version.TagsBefore))
}

// publish commits: the version is available, and current if none is newer.
func (a *adoption) publish(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	current, err := a.Ledger.Publish(ctx, turn.Guard(), *a.progress.Version, turn.Job.Labels)
	if err != nil {
		return jobs.Move{}, err
	}
	a.progress.Committed = true
	if current != a.progress.Version.Number {
		turn.Warn("current stays at %s@%d", a.job.Name, current)
	}
	return jobs.Done(), nil
}

// Resume names the step that follows a commit which the undo found.
func (a *adoption) Resume() string { return "publish" }

// abandon gives the number up, unless the version was published already: then it stays.
func (a *adoption) abandon(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v := a.progress.Version
	if v == nil || a.progress.Committed {
		return jobs.Done(), nil
	}
	if v.Number == 0 { // whose reservation may not have been recorded
		versions, err := a.Ledger.Versions(ctx, a.job.Name)
		if err != nil {
			return jobs.Move{}, err
		}
		for _, reserved := range versions {
			if reserved.Incarnation == turn.Job.Incarnation && reserved.Run == turn.Job.Run {
				v.Number, v.Image = reserved.Number, a.job.Name
			}
		}
		if v.Number == 0 {
			return jobs.Done(), nil
		}
	}
	stands, known, err := a.Ledger.GetVersion(ctx, a.job.Name, v.Number)
	switch {
	case err != nil || !known:
		return jobs.Done(), err
	case stands.State != ledger.Candidate && stands.State != ledger.Abandoned:
		a.progress.Committed = true
		turn.Note("%s@%d was published already; it stays", a.job.Name, v.Number)
		return jobs.Done(), nil
	}
	return jobs.Done(), a.Ledger.SetVersionState(ctx, turn.Guard(), a.job.Name, v.Number, ledger.Abandoned)
}

// untagImage takes the AMI's tags back.
func (a *adoption) untagImage(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if a.progress.Version == nil || a.progress.Version.Number == 0 {
		return jobs.Done(), nil // nothing is tagged before the reservation is recorded
	}
	tags := without(imageTags(a.Installation, a.job.Name, turn.Job.Incarnation), a.progress.Version.TagsBefore)
	return jobs.Unmake(ctx, turn, "tags", func(ctx context.Context) (bool, error) {
		return true, goneIsDone(a.ec2().Untag(ctx, []string{a.spec.Image.AMI}, tags))
	})
}

// goneIsDone: what is gone carries no tags.
func goneIsDone(err error) error {
	if jobs.IsClass(err, jobs.NotFound, jobs.Propagating) {
		return nil
	}
	return err
}
