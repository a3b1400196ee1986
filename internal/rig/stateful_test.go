package rig_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

const statefulFleet = `
kind: Launch
name: web-prod
spec:
  image: web@1
  count: 2
  pools: [{types: [m7g.large]}]
  server: {instanceProfile: builder, volumes: {/dev/sdf: {size: 10GiB, deleteOnTermination: false}}}
`

// statefulStory replaces two servers that have a volume, and the first an address too.
func statefulStory(options string, ends jobs.State, image string) rig.Story {
	before := map[int]string{}
	return rig.Story{
		Config: restampConfig(), Key: "k", Folder: ".", Limit: 6 * time.Hour,
		Spec: "kind: Rollout\nname: web-prod\nspec: {fleet: web-prod, image: web, maxUnavailable: 1, waves: [100%]" + options + "}\n",
		Prepare: func(r *rig.Rig) error {
			if err := did(r, imageOf("echo one > /opt/web"), imageOf("echo two > /opt/web"), statefulFleet); err != nil {
				return err
			}
			for _, server := range rootServers(r) {
				before[server.Ordinal] = dataVolume(r, server.InstanceID)
			}
			client := r.User.Clients.For(jobs.Target{}).EC2
			address, err := client.AllocateAddress(background, &ec2.AllocateAddressInput{TagSpecifications: []types.TagSpecification{{
				ResourceType: types.ResourceTypeElasticIp, Tags: []types.Tag{{Key: aws.String(jobs.TagInstallation), Value: aws.String(r.User.Common.Installation)}},
			}}})
			if err != nil {
				return err
			}
			_, err = client.AssociateAddress(background, &ec2.AssociateAddressInput{AllocationId: address.AllocationId, InstanceId: aws.String(rootServers(r)[0].InstanceID)})
			return err
		},
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State != ends {
					return fmt.Errorf("the job is %s, want %s: %s", job.State, ends, job.Failure)
				}
			}
			servers := rootServers(r)
			for _, server := range servers {
				if got := dataVolume(r, server.InstanceID); got == "" || got != before[server.Ordinal] || server.Image != image {
					return fmt.Errorf("ordinal %d runs %s with the volume %q, want %s with %q", server.Ordinal, server.Image, got, image, before[server.Ordinal])
				}
			}
			all := r.EC2().Inspect()
			for _, volume := range all.Volumes {
				if volume.InstanceID == "" {
					return fmt.Errorf("volume %s is left over, %s", volume.ID, volume.State)
				}
			}
			if len(servers) != 2 || len(all.Addresses) != 1 || all.Addresses[0].InstanceID != servers[0].InstanceID {
				return fmt.Errorf("the address is at %+v, want it at %s", all.Addresses, servers[0].InstanceID)
			}
			return nil
		},
	}
}

// dataVolume is the one that the instance has at /dev/sdf.
func dataVolume(r *rig.Rig, instanceID string) string {
	instance, _ := r.EC2().Instance(api.DefaultAccount, home, instanceID)
	for _, id := range instance.Volumes {
		for _, volume := range r.EC2().Inspect().Volumes {
			if volume.ID == id && volume.Device == "/dev/sdf" && instance.State == "running" {
				return id
			}
		}
	}
	return ""
}

func TestVolumesAndAddressesMoveToSuccessorsThroughADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, statefulStory("", jobs.Succeeded, "web@2"))
}

func TestVolumesAndAddressesComeBackFromABadImageThroughADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, statefulStory(", gate: [{run: test -e /opt/never, within: 30s}]", jobs.Failed, "web@1"))
}
