package guest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	"github.com/stampmill/stampmill/internal/localaws/machine"
)

// onMachine boots a server of the embedded endpoint in virtual time.
func onMachine(t *testing.T, test func(t *testing.T, m machine.Machine, run func(script string) guest.Outcome)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := machine.NewHost(machine.AgentWithoutProfile()).New(machine.Config{
			Identity:   machine.Identity{InstanceID: "i-1", Region: "eu-west-1", Architecture: "arm64", Platform: "linux", Distribution: "amazon"},
			Disks:      map[string]machine.Disk{"/dev/xvda": machine.BaseDisk("amazon", "arm64", "")},
			RootDevice: "/dev/xvda", Speed: 1, UserData: func() []byte { return nil }, Tags: func() map[string]string { return nil },
			PoweredOff: func() {},
		})
		m.PowerOn()
		defer m.PowerOff(true)
		n := 0
		test(t, m, func(script string) guest.Outcome {
			n++
			done := make(chan machine.Result, 1)
			m.Run(machine.Command{ID: "command-" + strings.Repeat("x", n), Shell: "sh", Script: script, Timeout: time.Hour}, func(r machine.Result) { done <- r })
			r := <-done
			i := cloud.Invocation{Status: "Success", ExitCode: r.ExitCode, Stdout: r.Stdout, Stderr: r.Stderr}
			if r.ExitCode != 0 {
				i.Status = "Failed"
			}
			return guest.Read(i)
		})
	})
}

func mustWrap(t *testing.T, s guest.Script) string {
	t.Helper()
	text, err := guest.Wrap(guest.Shell, s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestOnAServerAScriptRunsOnceAndRebootsInBetween(t *testing.T) {
	t.Parallel()
	onMachine(t, func(t *testing.T, m machine.Machine, run func(string) guest.Outcome) {
		script := mustWrap(t, guest.Script{Token: "one", Text: "echo ran >>/root/runs\nif [ $(wc -l </root/runs) -lt 2 ]; then exit 194; fi\necho \"$WHO it's\"",
			Env: map[string]string{"WHO": "me"}, Timeout: time.Minute})
		for range 2 {
			if o := run(script); !o.OK() || o.Stdout != "me it's\n" {
				t.Fatalf("%+v", o)
			}
		}
		if o := run("cat /root/runs"); o.Stdout != "ran\nran\n" {
			t.Errorf("%+v", o)
		}
	})
}

func TestOnAServerARebootStepRebootsOnce(t *testing.T) {
	t.Parallel()
	onMachine(t, func(t *testing.T, m machine.Machine, run func(string) guest.Outcome) {
		boot := func() string { return run("cat /proc/sys/kernel/random/boot_id").Stdout }
		script, err := guest.Reboot(guest.Shell, "one")
		if err != nil {
			t.Fatal(err)
		}
		first := boot()
		if o := run(script); !o.OK() {
			t.Fatalf("%+v", o)
		}
		second := boot()
		if o := run(script); !o.OK() {
			t.Fatalf("%+v", o)
		}
		if third := boot(); first == second || second != third {
			t.Errorf("boots %q, %q, %q", first, second, third)
		}
	})
}

func TestOnAServerARunThatDiedIsTold(t *testing.T) {
	t.Parallel()
	onMachine(t, func(t *testing.T, m machine.Machine, run func(string) guest.Outcome) {
		script := mustWrap(t, guest.Script{Token: "one", Text: "echo ran >>/root/runs; sleep 600"})
		m.Run(machine.Command{ID: "lost", Shell: "sh", Script: script, Timeout: time.Hour}, func(machine.Result) {})
		time.Sleep(2 * time.Minute)
		m.Reboot()
		if o := run(script); !o.Died {
			t.Errorf("%+v", o)
		}
		if o := run("cat /root/runs"); o.Stdout != "ran\n" {
			t.Errorf("%+v", o)
		}
	})
}

func TestOnAServerATimeLimitHolds(t *testing.T) {
	t.Parallel()
	onMachine(t, func(t *testing.T, m machine.Machine, run func(string) guest.Outcome) {
		if o := run(mustWrap(t, guest.Script{Token: "one", Text: "echo begun; sleep 600", Timeout: time.Minute})); !o.TimedOut || o.Stdout != "begun\n" {
			t.Errorf("%+v", o)
		}
	})
}

func TestOnAServerFilesArriveAndServicesAreAsked(t *testing.T) {
	t.Parallel()
	onMachine(t, func(t *testing.T, m machine.Machine, run func(string) guest.Outcome) {
		text, err := guest.Copy{To: "/opt/app/", Name: "app.conf", Content: []byte("x=1\n"), Mode: "0600", Owner: "root:root"}.Script(guest.Shell)
		if err != nil {
			t.Fatal(err)
		}
		if o := run(mustWrap(t, guest.Script{Token: "copy", Text: text})); !o.OK() {
			t.Fatalf("%+v", o)
		}
		if o := run("cat /opt/app/app.conf; stat -c %a /opt/app/app.conf"); o.Stdout != "x=1\n600\n" {
			t.Errorf("%+v", o)
		}
		probe := mustWrap(t, guest.Script{Token: "probe", Text: guest.Probe{Port: 80, Contains: "hello", Within: 4 * time.Second}.Script(guest.Shell)})
		if o := run(probe); o.Exit != 1 || !strings.Contains(o.Stderr, "expected 200") {
			t.Errorf("with no service: %+v", o)
		}
		if o := run("dnf install -y nginx && echo hello >/usr/share/nginx/html/index.html && systemctl enable --now nginx"); !o.OK() {
			t.Fatalf("%+v", o)
		}
		probe = mustWrap(t, guest.Script{Token: "probe-2", Text: guest.Probe{Port: 80, Contains: "hello", Within: 10 * time.Second}.Script(guest.Shell)})
		if o := run(probe); !o.OK() {
			t.Errorf("with the service: %+v", o)
		}
	})
}

func TestGeneralizeLeavesNothingThatClonesWouldShare(t *testing.T) {
	t.Parallel()
	onMachine(t, func(t *testing.T, m machine.Machine, run func(string) guest.Outcome) {
		if o := run("mkdir -p /root/.ssh; echo key >/root/.ssh/authorized_keys; ls /etc/ssh/ssh_host_* >/dev/null && test -s /etc/machine-id"); !o.OK() {
			t.Fatalf("the server has nothing to generalize: %+v", o)
		}
		run(mustWrap(t, guest.Script{Token: "some-step", Text: "echo said"}))
		if o := run(mustWrap(t, guest.Script{Token: "generalize", Text: guest.Generalize(guest.Shell), Repeatable: true, Timeout: 10 * time.Minute})); !o.OK() {
			t.Fatalf("%+v", o)
		}
		disk := m.Disks()["/dev/xvda"]
		for _, gone := range []string{"/etc/ssh/ssh_host_ed25519_key", "/root/.ssh/authorized_keys", guest.RunFolder + "/some-step/exit"} {
			if content, err := disk.Read(gone); err == nil {
				t.Errorf("%s is still there: %q", gone, content)
			}
		}
		if content, err := disk.Read("/etc/machine-id"); err != nil || len(strings.TrimSpace(string(content))) > 0 && string(content) != "uninitialized\n" {
			t.Errorf("machine-id: %q %v", content, err)
		}
	})
}

func TestUserDataProvisionsAndStopsTheServer(t *testing.T) {
	t.Parallel()
	for text, stops := range map[string]bool{"echo done >/root/done": true, "exit 3": false} {
		synctest.Test(t, func(t *testing.T) {
			data, err := guest.Provision{Parts: []guest.Part{{Name: "step-1", Text: text, Env: map[string]string{"A": "1"}, Timeout: time.Minute},
				{Name: "verify-1", Text: "echo all fine", Output: "fine"}}, Generalize: true}.UserData(guest.Shell)
			if err != nil {
				t.Fatal(err)
			}
			off := make(chan struct{}, 1)
			m := machine.NewHost().New(machine.Config{
				Identity:   machine.Identity{InstanceID: "i-1", Region: "eu-west-1", Architecture: "arm64", Platform: "linux", Distribution: "amazon"},
				Disks:      map[string]machine.Disk{"/dev/xvda": machine.BaseDisk("amazon", "arm64", "")},
				RootDevice: "/dev/xvda", Speed: 1, UserData: func() []byte { return data }, Tags: func() map[string]string { return nil },
				Metadata: true, PoweredOff: func() { off <- struct{}{} },
			})
			m.PowerOn()
			stopped := false
			select {
			case <-off:
				stopped = true
			case <-time.After(20 * time.Minute):
			}
			console := string(m.Console())
			m.PowerOff(false)
			if stopped != stops {
				t.Errorf("%q: stopped %v, want %v; the console says\n%s", text, stopped, stops, console)
			}
			if said := strings.Contains(console, "stampmill: provision failed: step-1: exit code 3"); said == stops {
				t.Errorf("%q: the console says\n%s", text, console)
			}
		})
	}
}
