package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

const (
	// refreshPoll is between looks at an instance refresh under way, foreignPoll at one that somebody else started.
	refreshPoll = 30 * time.Second
	foreignPoll = time.Minute
	// surplusPatience is how long a group may take to scale in what an ended refresh had launched ahead.
	surplusPatience = 10 * time.Minute
	// refreshesKept is how many refreshes that ended are told from ones that a lost call may have started.
	refreshesKept = 20
)

// refresh leaves the replacing to the fleet's Auto Scaling group. Each lot is an instance refresh to a version of the group's launch
// template that differs in the image only, pinned by its number, with a checkpoint where the lot ends. There it is cancelled:
// between two waves nothing of ours is under way at AWS, however long gates, windows and people take, and the next lot skips what
// matches already. The last lot has no checkpoint: at its end AWS moves the group itself to the version.
//
// AWS chooses which instances it replaces. So the fleet's ordinals, which mean nothing to a group, follow: see refreshrows.go.
type refresh struct {
	*rollout
	state *refreshing
}

// refreshing is what it keeps.
type refreshing struct {
	// Template is what the group launched from when the rollout began, with the number of its version; AMI is that version's.
	Template cloud.LaunchTemplate `json:"template,omitzero"`
	AMI      string               `json:"ami,omitempty"`
	// Versions are versions of the template by their AMI.
	Versions map[string]string `json:"versions,omitempty"`
	Run      *refreshRun       `json:"run,omitempty"`
	// Past are refreshes of ours that have ended, by id.
	Past []string `json:"past,omitempty"`
	// Why the last refresh of ours did not succeed.
	Why string `json:"why,omitempty"`
}

// refreshRun is an instance refresh of ours. It is saved before AWS is asked for it, since that call has no token.
type refreshRun struct {
	Version    string       `json:"version"`
	Lot        ordinals.Set `json:"lot"`
	Checkpoint int          `json:"checkpoint,omitempty"` // percent of the group; 0: it goes on to the end
	ID         string       `json:"id,omitempty"`
	// Moves: it is for the group itself, after the waves.
	Moves bool `json:"moves,omitempty"`
	// Ending: we asked for its end, at its checkpoint or, if Early, before it.
	Ending bool `json:"ending,omitempty"`
	Early  bool `json:"early,omitempty"`
}

func (r *refresh) groups() Groups       { return r.Groups(r.progress.Target) }
func (r *refresh) templates() Templates { return r.Templates(r.progress.Target) }

// prepare finds the group and what it launches from, and refuses what AWS could not bring back.
func (r *refresh) prepare(ctx context.Context, _ *jobs.Turn, ref string) (image, []jobs.Finding, error) {
	resolved, err := r.Launching.Resolve(ctx, r.there(), ref)
	if err != nil {
		return image{}, nil, err
	}
	found := image(resolved)
	g, err := r.group(ctx)
	if err != nil {
		return image{}, nil, err
	}
	var findings []jobs.Finding
	if r.state.Template.ID == "" {
		if findings, err = r.lookTemplate(ctx, g); err != nil || slices.ContainsFunc(findings, func(f jobs.Finding) bool { return !f.Warning }) {
			return found, findings, err
		}
		findings = append(findings, r.lookGates()...)
		held := slices.DeleteFunc(slices.Clone(g.Members), func(m cloud.Member) bool { return !left(m) })
		if len(held) > 0 {
			findings = append(findings, jobs.Finding{Field: []any{"fleet"}, Warning: len(held) < len(g.Members),
				Message: fmt.Sprintf("%d of %d instances of the group %s are protected from scale-in or in standby: the refresh leaves them alone", len(held), len(g.Members), g.Name),
				Hint:    "aws autoscaling set-instance-protection --no-protected-from-scale-in, or exit-standby"})
		}
	}
	return found, findings, nil
}

// list makes the group's instances rows of the ledger, before the waves are cut.
func (r *refresh) list(ctx context.Context, turn *jobs.Turn) error {
	g, err := r.group(ctx)
	if err != nil {
		return err
	}
	return r.enlist(ctx, turn, g, lot{Image: r.progress.Image})
}

// foresee gives the rows that list would write.
func (r *refresh) foresee(ctx context.Context, turn *jobs.Turn) ([]ledger.Server, error) {
	g, err := r.group(ctx)
	if err != nil {
		return nil, err
	}
	to := r.progress.Image
	return assign(nil, r.rows(turn, g, r.names(to), true), ordinals.Set{}, lot{Image: to}), nil
}

// left says whether a refresh leaves the instance alone.
func left(m cloud.Member) bool { return m.Protected || m.State == "Standby" }

func (r *refresh) group(ctx context.Context) (cloud.Group, error) {
	if r.progress.Group == "" {
		return cloud.Group{}, jobs.Fatalf("roll the fleet", r.fleet(), "it is no Auto Scaling group: it cannot be rolled by refresh",
			"leave strategy out, or import the group: stampmill import fleet NAME --auto-scaling-group GROUP")
	}
	if r.Groups == nil || r.Templates == nil {
		return cloud.Group{}, jobs.Fatalf("roll the fleet", r.fleet(), "Auto Scaling groups cannot be asked here", "")
	}
	g, known, err := r.groups().Group(ctx, r.progress.Group)
	if err == nil && !known {
		err = jobs.Fatalf("autoscaling DescribeAutoScalingGroups", r.progress.Group, "the fleet "+r.fleet()+" is an Auto Scaling group that is not there any more", "check region and account")
	}
	return g, err
}

// lookTemplate refuses groups that follow something that moves: a refresh of theirs could not be pinned, nor brought back.
func (r *refresh) lookTemplate(ctx context.Context, g cloud.Group) ([]jobs.Finding, error) {
	wrong := func(message, hint string) []jobs.Finding {
		return []jobs.Finding{{Field: []any{"fleet"}, Message: "the group " + g.Name + " " + message, Hint: hint}}
	}
	option := "--launch-template LaunchTemplateId=" + g.Template.ID + ",Version=NUMBER"
	if g.Mixed {
		option = "--mixed-instances-policy with the number of a version"
	}
	pin := "pin it: aws autoscaling update-auto-scaling-group --auto-scaling-group-name " + g.Name + " " + option
	switch {
	case g.Template.ID == "":
		return wrong("has no launch template", "move it from its launch configuration to a launch template"), nil
	case g.OwnTemplates:
		return wrong("has a mixed instances policy whose overrides bring launch templates of their own", "give all instance types one launch template"), nil
	case strings.HasPrefix(g.Template.Version, "$"):
		return wrong("follows "+g.Template.Version+" of its launch template: AWS rolls nothing back then, and a new version would reach it at once", pin), nil
	}
	exists, ami, err := r.templates().TemplateVersion(ctx, g.Template)
	switch {
	case err != nil:
		return nil, err
	case !exists:
		return wrong("launches from version "+g.Template.Version+" of its launch template, which is not there", pin), nil
	case strings.HasPrefix(ami, "resolve:ssm:"):
		return wrong("launches the AMI that a parameter names ("+ami+"): AWS rolls nothing back then", "make a version of the launch template with the AMI's id, and "+pin), nil
	}
	r.state.Template, r.state.AMI = g.Template, ami
	r.state.Versions = map[string]string{}
	if ami != "" {
		r.state.Versions[ami] = g.Template.Version
	}
	return nil, nil
}

// lookGates refuses gates that have to know how the fleet's servers were launched.
func (r *refresh) lookGates() []jobs.Finding {
	var findings []jobs.Finding
	for i, gate := range r.spec.Gate {
		if gate.Health {
			findings = append(findings, jobs.Finding{Field: []any{"gate", i, "health"}, Message: "an Auto Scaling group has no Launch spec that says what is healthy",
				Hint: "AWS checks the group's own health; write a gate with run, http or alarm"})
		}
	}
	return findings
}

func (r *refresh) busy() bool { return r.state.Run != nil }

// roll carries one instance refresh through.
func (r *refresh) roll(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error) {
	if r.state.Run != nil && r.state.Run.Moves {
		return r.conclude(ctx, turn)
	}
	if r.state.Run == nil {
		move, err := r.begin(ctx, turn, lot)
		if err != nil || !move.IsDone() || r.state.Run == nil {
			return move, err
		}
	}
	return r.watch(ctx, turn, lot)
}

// begin makes the version, waits for what others have under way, and decides how far the next refresh goes.
func (r *refresh) begin(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error) {
	version, move, err := r.version(ctx, turn, lot.Image)
	if err != nil || !move.IsDone() {
		return move, err
	}
	if move, err := r.alone(ctx, turn); err != nil || !move.IsDone() {
		return move, err
	}
	g, err := r.group(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if done, lost, err := r.take(ctx, turn, g, lot); err != nil || !done.Empty() || !lost.Empty() {
		return jobs.Done(), err // the lot is another one now
	}
	r.state.Run = &refreshRun{Version: version, Lot: lot.Ordinals, Checkpoint: checkpoint(g, r.state.Template.ID, version, lot.Ordinals.Len())}
	return jobs.Done(), turn.Save(ctx)
}

// version is the template's version with the image: the group's own one, or one that differs from it in the image only. Its token
// makes it once; nothing but our refreshes names it, so that no group follows it.
func (r *refresh) version(ctx context.Context, turn *jobs.Turn, to image) (string, jobs.Move, error) {
	version, ready, err := jobs.Make(ctx, turn, jobs.Making[string]{
		Thing:    "template-" + to.AMI,
		Recorded: func() (string, bool) { v, ok := r.state.Versions[to.AMI]; return v, ok },
		Act: func(ctx context.Context, token string) (string, error) {
			return r.templates().AddTemplateVersion(ctx, cloud.LaunchTemplate{ID: r.state.Template.ID}, r.state.Template.Version, to.AMI, token, "stampmill: "+to.Ref)
		},
		Record: func(v string) { r.state.Versions[to.AMI] = v },
	})
	if err != nil || !ready {
		return "", jobs.Move{}, err
	}
	exists, _, err := r.templates().TemplateVersion(ctx, cloud.LaunchTemplate{ID: r.state.Template.ID, Version: version})
	if err == nil && !exists {
		return "", jobs.Wait(5*time.Second, "version %s of the launch template %s to be seen", version, r.state.Template.ID), nil
	}
	return version, jobs.Done(), err
}

// alone waits for a refresh that somebody else started. One of ours that a lost call started late is ended.
func (r *refresh) alone(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	all, err := r.groups().Refreshes(ctx, r.progress.Group)
	if err != nil {
		return jobs.Move{}, err
	}
	active, ok := underWay(all)
	if !ok {
		return jobs.Done(), nil
	}
	if r.ours(active) && !turn.Job.Lost.IsZero() && active.Status != cloud.RefreshCancelling {
		if err := r.groups().CancelRefresh(ctx, r.progress.Group); err != nil {
			return jobs.Move{}, err
		}
		return jobs.Look(r.soon(refreshPoll), "the end of the instance refresh %s, which a lost call started", active.ID), nil
	}
	return jobs.Look(foreignPoll, "the instance refresh %s of the group %s, which somebody else started: it is %s", active.ID, r.progress.Group, active.Status), nil
}

// underWay is the refresh that has not ended.
func underWay(all []cloud.Refresh) (cloud.Refresh, bool) {
	at := slices.IndexFunc(all, func(f cloud.Refresh) bool { return !f.Over() })
	if at < 0 {
		return cloud.Refresh{}, false
	}
	return all[at], true
}

// ours says whether the refresh goes to a version that this rollout refreshes to.
func (r *refresh) ours(f cloud.Refresh) bool {
	return f.Template.ID == r.state.Template.ID && slices.Contains(slices.Collect(maps.Values(r.state.Versions)), f.Template.Version)
}

// checkpoint is at what percent of the group the refresh has to stay so that so many more of its instances are new: no more than
// those, unless they are less than a percent. 0: it need not, since none would be left.
func checkpoint(g cloud.Group, template, version string, more int) int {
	total, matching, remaining := 0, 0, 0
	for _, m := range g.Members {
		switch {
		case !m.Stays():
			continue
		case m.Template.ID == template && m.Template.Version == version:
			matching++
		case !left(m):
			remaining++
		}
		total++
	}
	if more >= remaining || total == 0 {
		return 0
	}
	percent := 100 * (matching + more) / total
	if (percent*total+99)/100 <= matching {
		percent = 100*matching/total + 1
	}
	if percent >= 100 {
		return 0
	}
	return percent
}
