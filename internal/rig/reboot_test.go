package rig_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/rig"
)

// rebootingBake notes each thing that a script does in a file of the image: before, around and after two reboots.
func rebootingBake() rig.Story {
	story := plainBake()
	story.Spec = fmt.Sprintf(`
kind: Bake
name: web
spec:
  from: {ami: %s}
  builder: {types: [m7g.large], instanceProfile: builder}
  steps:
    - run: |
        echo first >> /opt/effects
        sleep 20
        echo second >> /opt/effects
    - reboot
    - run: |
        if [ ! -e /opt/half ]; then
          echo third >> /opt/effects
          touch /opt/half
          exit 194
        fi
        echo fourth >> /opt/effects
    - run: echo fifth >> /opt/effects
  verify:
    - run: test $(wc -l < /opt/effects) -eq 5
  bootTest: false
`, arm64())
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if err := oneImage(r, ended); err != nil {
			return err
		}
		got, err := onImage(r, r.EC2().Inspect().Images[0].ID, "/opt/effects")
		if want := "first second third fourth fifth"; err != nil || strings.Join(strings.Fields(got), " ") != want {
			return fmt.Errorf("the image's disk says %q, want %q (%v)", got, want, err)
		}
		return nil
	}
	return story
}

// onImage reads a file of an AMI, by way of a server that is launched from it.
func onImage(r *rig.Rig, ami, path string) (string, error) {
	ec2 := r.User.EC2.For(jobs.Target{})
	made, err := ec2.Launch(background, cloud.LaunchRequest{Token: "reader", ImageID: ami, Type: "m7g.large", Min: 1, Max: 1})
	if err != nil {
		return "", err
	}
	time.Sleep(time.Minute)
	defer func() {
		if err := ec2.Terminate(background, made[0].ID); err != nil {
			panic(err)
		}
	}()
	for _, i := range r.EC2().Inspect().Instances {
		if i.ID != made[0].ID {
			continue
		}
		m, on := r.EC2().Machine(i.Account, i.Region, i.ID)
		if !on {
			return "", fmt.Errorf("%s is not on", i.ID)
		}
		for _, disk := range m.Disks() {
			if content, err := disk.Read(path); err == nil {
				return string(content), nil
			}
		}
	}
	return "", fmt.Errorf("no disk of %s has %s", made[0].ID, path)
}

func TestScriptsRunOnceThoughTheyRebootAndWorkersDie(t *testing.T) {
	t.Parallel()
	everyCall(t, rebootingBake(), 5, deaths...)
}

func TestScriptsRunOnceThoughTheAnswerToTheirCommandIsLost(t *testing.T) {
	t.Parallel()
	everyCallTo(t, rebootingBake(), lostAnswer, 3, "ssm:SendCommand")
}
