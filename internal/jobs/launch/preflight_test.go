package launch_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
)

func TestPreflightFindsWhatIsWrongBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	const pools = `"pools": [{"types": ["m7g.large"]}]`
	for raw, want := range map[string]string{
		`{"image": "api", "count": 3, ` + pools + `}`:                                                         "no such image",
		`{"image": "web@1", "count": 3, ` + pools + `}`:                                                       "retired",
		`{"image": "web@9", "count": 3, ` + pools + `}`:                                                       "no such version",
		`{"image": "ami-0000dead", "count": 3, ` + pools + `}`:                                                "not in this region",
		`{"image": "ssm:/images/api", "count": 3, ` + pools + `}`:                                             "AMI id",
		`{"image": "web", "count": 3, "pools": [{"types": ["x9.large"]}]}`:                                    "x9.large",
		`{"image": "web", "count": 3, "pools": [{"types": ["m7g.large"], "subnets": {"ids": ["subnet-z"]}}]}`: "offers none",
		`{"image": "web", "count": 3, "launchTemplate": {"name": "web", "version": "77"}}`:                    "no version 77",
		`{"image": "web", "count": 3, ` + pools + `, "attach": {"targetGroups": ["api"]}}`:                    "no such target group",
		`{"image": "web", "count": 3, ` + pools + `, "settings": {"each": {"rows": [{"a": 1}, {"a": 2}]}}}`:   "no row for ordinal 2",
		`{"image": "web", "count": 3, "pools": [{"types": ["m7i.large"]}]}`:                                   "m7i.large is x86_64",
		`{"image": "web", "count": 3, ` + pools + `, "server": {"keyName": "nobody"}}`:                        "no key pair nobody",
		`{"image": "web", "count": 3, ` + pools + `, "server": {"securityGroups": ["sg-1a", "sg-2b"]}}`:       "no security group sg-2b",
		`{"image": "api", "count": 3, "pools": [{"types": ["x9.large"]}], "server": {"keyName": "nobody"}}`:   "x9.large in this region (choose another type); there is no key pair nobody",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &worldOf{newWorld(t), t}
				if job := w.launch("1", raw, jobs.Failed); !strings.Contains(job.Failure, want) {
					t.Errorf("the failure is %q, expected a word about %q", job.Failure, want)
				}
				w.WantFleet("web")
				if w.EC2Calls["RunInstances"] > 0 {
					t.Error("servers were launched all the same")
				}
			})
		})
	}
}

func TestBatchesSpreadOverTheZonesAndCarryWhatIsTheirs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		var rows []string
		for i := range 300 {
			rows = append(rows, fmt.Sprintf(`{"shard": "s%d"}`, i))
		}
		w.launch("1", spec(300, `"pools": [{"types": ["m7g.large"], "market": "spot"}], "hostname": "web-{ordinal:04}", "tags": {"CostCenter": "4711"},
			"settings": {"each": {"rows": [`+strings.Join(rows, ",")+`]}}`), jobs.Succeeded)
		zones := map[string]int{}
		for _, server := range w.Holders("web") {
			zones[server.Zone]++
			instance := w.Instance(server.InstanceID)
			if want := fmt.Sprintf("web-%04d", server.Ordinal); server.Hostname != want || instance.LaunchIndex != server.Ordinal%100 {
				t.Fatalf("ordinal %d is %s with launch index %d", server.Ordinal, server.Hostname, instance.LaunchIndex)
			}
			if !server.Spot || server.State != "healthy" {
				t.Fatalf("ordinal %d is %+v", server.Ordinal, server)
			}
		}
		if len(zones) != 3 || zones["subnet-a"] != 100 {
			t.Errorf("the servers are in %v, expected 100 in each zone", zones)
		}
		job := w.Job(jobs.Identity("Launch", "web", jobs.Target{}, "1"))
		for _, instance := range w.Living() {
			tags := instance.Tags
			if tags[jobs.TagJob] != job.ID || tags[jobs.TagIncarnation] != job.Incarnation || tags[launch.TagFleet] != "web" ||
				tags[launch.TagImage] != "web@3" || tags["CostCenter"] != "4711" || tags[jobs.TagInstallation] != "test" {
				t.Fatalf("an instance carries %v", tags)
			}
		}
		if len(job.Data) > 4000 {
			t.Errorf("the launch keeps %d bytes", len(job.Data))
		}
	})
}

func TestTheReportNamesEveryServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		result := resultOf(t, w.launch("1", spec(12, ""), jobs.Succeeded))
		var report struct{ Servers []struct{ Ordinal int } }
		if err := json.Unmarshal(w.Bucket[result.Report], &report); err != nil || len(report.Servers) != 12 {
			t.Errorf("the report %q names %d servers, %v", result.Report, len(report.Servers), err)
		}
	})
}

func TestThrottledLaunchesWaitAndLoseNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Throttle = 7
		w.launch("1", spec(200, `"pools": [{"types": ["m7g.large"], "subnets": {"ids": ["subnet-a"]}}]`), jobs.Succeeded)
		w.WantFleet("web", upTo(200)...)
		if w.EC2Calls["RunInstances"] != 2+7 {
			t.Errorf("%d launches, expected 2 and 7 throttled ones", w.EC2Calls["RunInstances"])
		}
	})
}

func TestTheLadderTurnsWithinEachPoolAndType(t *testing.T) {
	t.Parallel()
	ladder := launch.Ladder{{Pool: 0, Type: "m", Subnet: "a"}, {Pool: 0, Type: "m", Subnet: "b"}, {Pool: 0, Type: "c", Subnet: "a"},
		{Pool: 0, Type: "c", Subnet: "b"}, {Pool: 1, Type: "m", Subnet: "c"}}
	var got []string
	for _, rung := range ladder.Turned(3) {
		got = append(got, rung.Type+rung.Subnet)
	}
	if want := []string{"mb", "ma", "cb", "ca", "mc"}; !slices.Equal(got, want) {
		t.Errorf("batch 3 asks %v, expected %v", got, want)
	}
}

func TestMoreServersThanThereIsRoomForAreRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	const pool = `"pools": [{"types": ["m7g.large"], "subnets": ["subnet-a", "subnet-b"]}]`
	for _, c := range []struct {
		name, accept, want string
		quota              float64
		free               int // in each of the two subnets
		state              jobs.State
	}{
		{"the quota is just enough", "100%", "", 40, 100, jobs.Succeeded},
		{"one vCPU too few", "100%", "L-1216C47A", 39, 100, jobs.Failed},
		{"enough for what is accepted", "95%", "L-1216C47A", 38, 100, jobs.Succeeded},
		{"the addresses are just enough", "100%", "", 1e6, 10, jobs.Succeeded},
		{"too few addresses", "100%", "subnet-a 9, subnet-b 9", 1e6, 9, jobs.Failed},
		{"the quota may not be asked", "100%", "could not be asked", -1, 100, jobs.Succeeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &worldOf{newWorld(t), t}
				w.Quota, w.Free = c.quota, map[string]int{"subnet-a": c.free, "subnet-b": c.free}
				job := w.launch("1", spec(20, pool+`, "accept": "`+c.accept+`"`), c.state)
				told := job.Failure
				if c.state == jobs.Succeeded {
					told = strings.Join(job.Warnings, "\n")
				}
				if !strings.Contains(told, c.want) || c.want == "" && told != "" {
					t.Errorf("it says %q, want a word about %q", told, c.want)
				}
				if made := w.EC2Calls["RunInstances"]; (made > 0) != (c.state == jobs.Succeeded) {
					t.Errorf("%d launches of a job that %s", made, c.state)
				}
			})
		})
	}
}

func TestWhatRunsAlreadyCountsAgainstTheQuotaAndNotTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Quota = 60
		one := `"pools": [{"types": ["m7g.large"]}]`
		w.launch("1", spec(20, one), jobs.Succeeded)
		w.launch("2", spec(30, one), jobs.Succeeded) // 40 vCPUs run, and 20 more are wanted
		if job := w.launch("3", spec(31, one), jobs.Failed); !strings.Contains(job.Failure, "60 vCPUs, 60 in use") || !strings.Contains(job.Failure, "--desired-value 62") {
			t.Errorf("the failure is %q", job.Failure)
		}
		w.WantFleet("web", upTo(30)...)
	})
}

func TestAnImageThatTheAccountDoesNotAllowIsRefused(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]jobs.State{"enabled": jobs.Failed, "audit-mode": jobs.Succeeded} {
		synctest.Test(t, func(t *testing.T) {
			w := &worldOf{newWorld(t), t}
			w.AllowedImages = state
			if job := w.launch("1", spec(2, ""), want); !strings.Contains(job.Failure+strings.Join(job.Warnings, " "), "Allowed AMIs") {
				t.Errorf("%s: %q, %q", state, job.Failure, job.Warnings)
			}
		})
	}
}

func TestAWrongInstanceProfileIsToldBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::111122223333:instance-profile/"
	for name, c := range map[string]struct {
		profile, want string
		state         jobs.State
	}{
		"there by name":             {"web", "", jobs.Succeeded},
		"there by ARN":              {arn + "apps/web", "", jobs.Succeeded},
		"not there":                 {"wbe", "there is no instance profile wbe in this account (check its name and the account, or make it", jobs.Failed},
		"of another path":           {arn + "web", "the one of that name is " + arn + "apps/web (write the name web", jobs.Failed},
		"without a role":            {"bare", "the instance profile bare has no role", jobs.Succeeded},
		"not ours to ask for":       {"denied", "the instance profile denied could not be checked", jobs.Succeeded},
		"wrong, and the key is too": {`wbe", "keyName": "nobody`, "there is no key pair nobody in this region (check its name and region); there is no instance profile wbe", jobs.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &worldOf{newWorld(t), t}
				w.Profiles = map[string]cloud.InstanceProfile{"web": {Name: "web", ARN: arn + "apps/web", Roles: []string{"web"}}, "bare": {Name: "bare", ARN: arn + "bare"}}
				job := w.launch("1", spec(2, threePools+`, "server": {"instanceProfile": "`+c.profile+`"}`), c.state)
				if told := job.Failure + strings.Join(job.Warnings, "\n"); !strings.Contains(told, c.want) || c.want == "" && told != "" {
					t.Errorf("it says %q, want a word about %q", told, c.want)
				}
				if made := w.EC2Calls["RunInstances"]; (made > 0) != (c.state == jobs.Succeeded) {
					t.Errorf("%d launches of a job that %s", made, c.state)
				}
			})
		})
	}
}

func TestAnInstanceProfileThatWasMadeJustNowIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Profiles, w.ProfilesFrom = map[string]cloud.InstanceProfile{"web": {Name: "web", Roles: []string{"web"}}}, time.Now().Add(15*time.Second)
		w.launch("1", spec(2, threePools+`, "server": {"instanceProfile": "web"}`), jobs.Succeeded)
	})
}
