// Package bake sets one server up, confirms that it works, and takes its image: the next version of an image of ours.
//
//	resolve → builder → answers → steps → verify → generalize → capture → available → boot-test → copies → share →
//	publish → parameter, launch template → retire → gone → notify
//
// Publish is the commit point. Before it, a failure or a cancel undoes everything that the bake made, in every region;
// after it nothing of the new version is undone, and what fails is retried and then becomes a warning. Only a verified and
// tagged image is shared, and only then does the image's current version move.
//
// Steps that a spec does not ask for are not in the list and cost no call.
package bake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/capacity"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Name is the kind's name.
const Name = "Bake"

// Config is what a bake works with.
type Config struct {
	// EC2 and SSM are the services in the target's account and region.
	EC2 func(jobs.Target) EC2
	SSM func(jobs.Target) SSM
	// Profiles, if not nil, are looked up by plans.
	Profiles func(jobs.Target) preflight.Profiles
	// Catalog remembers images, their versions, and builders that are kept.
	Catalog Catalog
	// Capacity remembers pools without capacity.
	Capacity capacity.Memory
	// Files is the installation's bucket.
	Files Files
	// Budgets tell how EC2's buckets stand, for a plan's times; nil: full ones, of AWS's own size.
	Budgets preflight.Budgets
	// Callback tells whoever a spec's notify names. It may be nil where no spec has one.
	Callback notify.Callback
	// Region is the worker's own: that of targets that name none.
	Region string
	// Pace divides the waits for what takes AWS minutes; 1 if zero. It is for endpoints that run faster than AWS.
	Pace float64
}

// Kind is the kind Bake.
type Kind struct {
	Config
	specs spec.Cache[Spec]
}

// New makes the kind.
func New(config Config) *Kind {
	if config.Pace <= 0 {
		config.Pace = 1
	}
	return &Kind{Config: config}
}

// Name is Bake.
func (k *Kind) Name() string { return Name }

// Check says what is wrong with a spec.
func (k *Kind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[Spec](raw)
	return err
}

var imageName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,79}$`)

// Program opens a job for one delivery.
func (k *Kind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := k.specs.Read(job.Digest, job.Spec)
	if err != nil {
		return nil, err
	}
	if !imageName.MatchString(job.Name) {
		return nil, fmt.Errorf("%q cannot name an image: AMI names take letters, digits, dots, hyphens, slashes and underscores", job.Name)
	}
	kept, err := jobs.Progress(job, func(p *progress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	return &program{kind: k, job: job, spec: s, region: cmp.Or(job.Target.Region, k.Region), progress: &kept}, nil
}

// Elsewhere are the regions, beside the job's own, in which the job may have made images.
func (k *Kind) Elsewhere(job *jobs.Job) []jobs.Target {
	s, err := spec.Read[Spec](job.Spec)
	if err != nil {
		return nil
	}
	var targets []jobs.Target
	for _, region := range sortedKeys(s.CopyTo) {
		targets = append(targets, job.Target.In(region))
	}
	return targets
}
