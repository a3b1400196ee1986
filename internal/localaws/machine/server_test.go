package machine

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// machineConfig is a server with an instance profile, IMDSv2 and this user data.
func machineConfig(id, userData string) Config {
	return Config{
		Identity: Identity{
			InstanceID: id, ImageID: "ami-1", InstanceType: "m7g.large", Account: "123456789012", Region: "eu-west-1", Zone: "eu-west-1a",
			PrivateIP: "10.0.0.5", PrivateDNS: "ip-10-0-0-5.eu-west-1.compute.internal", Architecture: "x86_64", Platform: "linux",
			Distribution: "amazon", InstanceProfileARN: "arn:aws:iam::123456789012:instance-profile/web", KeyName: "ops", MAC: "02:00:00:00:00:01",
		},
		RootDevice: "/dev/xvda", UserData: func() []byte { return []byte(userData) }, Metadata: true, TokenRequired: true, Speed: 1,
	}
}

// started is a machine whose boot is over.
func started(t *testing.T, config Config) Machine {
	t.Helper()
	m := NewHost().New(config)
	m.PowerOn()
	t.Cleanup(func() { m.PowerOff(true) })
	time.Sleep(time.Minute)
	synctest.Wait()
	return m
}

// run runs a command and waits for its result.
func run(t *testing.T, m Machine, script string) Result {
	t.Helper()
	done := make(chan Result, 1)
	m.Run(Command{ID: fmt.Sprintf("c-%d", time.Now().UnixNano()), Shell: "sh", Script: script, Timeout: time.Hour, Region: "eu-west-1"}, func(r Result) { done <- r })
	return <-done
}

func TestCommandsDoTheirWorkOnTheServer(t *testing.T) {
	t.Parallel()
	own, err := filepath.Abs("server_test.go") // a file of the machine that runs the test
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		script, out string
		code        int
	}{
		"files":             {`cd /tmp; mkdir -p a/b && echo x > a/b/f && cp -r a c && mv c/b/f c/g && rm -r a && find /tmp/c -type f; cat c/g`, "/tmp/c/g\nx\n", 0},
		"modes":             {`touch /tmp/f; chmod 750 /tmp/f; stat -c %a /tmp/f; chmod u-x,g+w /tmp/f; stat -c '%a %U' /tmp/f`, "750\n670 root\n", 0},
		"links":             {`ln -s /etc/hostname /tmp/h; readlink /tmp/h; cat /tmp/h | wc -l; rm /tmp/h; test -e /etc/hostname`, "/etc/hostname\n1\n", 0},
		"executable script": {`cd /tmp; printf '#!/usr/bin/env bash\necho $0 $1\n' > s; ./s; echo $?; chmod +x s; ./s arg`, "126\n./s arg\n", 0},
		"pipes of text":     {`printf '3 c\n1 a\n2 b\n1 a\n' | sort -u | sed 's/ /-/' | grep -v b | tr a-z A-Z | head -n 1`, "1-A\n", 0},
		"sed":               {`printf 'a=1\nb=2\n' > /tmp/c; sed -i -e '$a end' -e 's/^a=.*/a=9/' -e '/^b/s/2/3/' /tmp/c; cat /tmp/c`, "a=9\nb=3\nend\n", 0},
		"sed groups":        {`echo 'key: value' | sed -E 's/(\w+): (\w+)/\2-\1/'; echo abc | sed 's/\(b\)/[\1]/'`, "value-key\na[b]c\n", 0},
		"grep":              {`printf 'one\ntwo\n' > /tmp/g; grep -q two /tmp/g && grep -c o /tmp/g; grep -nE '^t' /tmp/g; grep three /tmp/g`, "2\n2:two\n", 1},
		"cut and tr":        {`cut -d: -f1,3 /etc/passwd | head -1; echo aabb | tr -s a-z; echo a,b | tr , '\n'`, "root:0\nab\na\nb\n", 0},
		"xargs and find":    {`cd /tmp; touch a.x b.x; find . -name '*.x' | sort | xargs -n1 echo got; find . -name '*.x' -delete; ls *.x 2>/dev/null`, "got ./a.x\ngot ./b.x\n", 2},
		"checksums":         {`echo -n abc | sha256sum | cut -c1-8; echo abc | base64; echo YWJjCg== | base64 -d`, "ba7816bf\nYWJjCg==\nabc\n", 0},
		"archives":          {`cd /tmp; mkdir d; echo x > d/f; tar czf d.tgz d; rm -r d; tar xzf d.tgz; cat d/f; tar tf d.tgz; gzip -c d/f | zcat`, "x\nd/\nd/f\nx\n", 0},
		"unknown":           {`frobnicate`, "", 127},
		"unknown option":    {`ls --frobnicate`, "", 2},
		"timeout":           {`timeout 2 sleep 10; echo $?`, "124\n", 0},
		"locks":             {`exec 9>/tmp/lock; flock -n 9; echo $?; (flock -n /tmp/lock true; echo $?); exec 9>&-; flock -n /tmp/lock echo free`, "0\n1\nfree\n", 0},
		"install":           {`dnf -y install nginx >/dev/null; rpm -q nginx | cut -d- -f1; command -v nginx; systemctl is-active nginx`, "nginx\n/usr/sbin/nginx\ninactive\n", 3},
		"unknown package":   {`dnf install -y frobnicate 2>&1`, "No match for argument: frobnicate\nError: Unable to find a match: frobnicate\n", 1},
		"service":           {`dnf install -y nginx >/dev/null; systemctl enable --now nginx 2>/dev/null; curl -fsS localhost | grep -o Welcome | head -1; systemctl is-enabled nginx`, "Welcome\nenabled\n", 0},
		"bad configuration": {`dnf install -y nginx >/dev/null; echo 'server { listen 80' > /etc/nginx/conf.d/a.conf; nginx -t 2>&1 | tail -1; systemctl start nginx 2>/dev/null; echo $?`, "nginx: configuration file /etc/nginx/nginx.conf test failed\n1\n", 0},
		"refused":           {`curl -s http://localhost:81/; echo $?`, "7\n", 0},
		"IMDSv1 is refused": {`curl -s -o /dev/null -w '%{http_code}' http://169.254.169.254/latest/meta-data/instance-id; curl -f http://169.254.169.254/ 2>/dev/null`, "401", 22},
		"IMDSv2":            {`T=$(curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token); curl -fsS -H "X-aws-ec2-metadata-token: $T" http://169.254.169.254/latest/meta-data/instance-id`, "i-1", 0},
		"host name":         {`hostname; hostnamectl set-hostname web; hostname; cat /etc/hostname /proc/sys/kernel/hostname`, "ip-10-0-0-5.eu-west-1.compute.internal\nweb\nweb\nweb\n", 0},
		"data of the boot":  {`. /etc/os-release; echo $ID $VERSION_ID; wc -c < /proc/sys/kernel/random/boot_id; test -s /etc/machine-id && test -s /etc/ssh/ssh_host_rsa_key && ls -1 ~/.ssh`, "amzn 2023\n37\nauthorized_keys\n", 0},
		"users":             {`useradd -m app; id -u app; chown app:app /opt; stat -c %U:%G /opt; grep -c app /etc/passwd`, "1001\napp:app\n1\n", 0},
		"real disk":         {`cat ` + own + ` 2>&1; echo ~daemon`, "cat: " + own + ": No such file or directory\n~daemon\n", 0},
		"unit of a script":  {"printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nEnvironment=A=1 B=2\\nExecStart=/bin/sh -c \"echo $A $B > /tmp/unit\"\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/x.service; systemctl daemon-reload; systemctl start x && cat /tmp/unit; systemctl is-active x", "1 2\nactive\n", 0},
		"output descriptor": {`exec > >(tee /var/log/my.log) 2>&1; echo one; echo two >&2; sleep 1; cat /var/log/my.log | wc -l`, "one\ntwo\n2\n", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := started(t, machineConfig("i-1", ""))
				r := run(t, m, c.script)
				if r.Stdout != c.out || r.ExitCode != c.code {
					t.Errorf("%s\n gives %q, exit %d, want %q, exit %d; standard error: %s\n", c.script, r.Stdout, r.ExitCode, c.out, c.code, r.Stderr)
				}
			})
		})
	}
}

const cloudConfig = `## template: jinja
#cloud-config
hostname: web-{{ "%04d" | format(ds.meta_data.ami_launch_index | int) }}
write_files:
  - path: /etc/app.conf
    content: "{{ ['a', 'b', 'c', 'd'][ds.meta_data.ami_launch_index | int] }}"
    permissions: "0600"
packages: [nginx]
bootcmd:
  - echo boot >> /var/log/boots
runcmd:
  - [systemctl, enable, --now, nginx]
  - echo "ran on $(hostname)" >> /var/log/runs
`

func TestEachServerOfABatchHasItsOwnNameAndSettings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for index, want := range map[int]string{0: "web-0000 a", 3: "web-0003 d"} {
			config := machineConfig("i-1", cloudConfig)
			config.Identity.LaunchIndex = index
			m := started(t, config)
			r := run(t, m, `echo $(hostname) $(cat /etc/app.conf); stat -c %a /etc/app.conf; cat /var/log/runs; cloud-init status`)
			name, _, _ := strings.Cut(want, " ")
			if r.Stdout != want+"\n600\nran on "+name+"\nstatus: done\n" {
				t.Errorf("server %d says %q; console:\n%s", index, r.Stdout, m.Console())
			}
			if status, body, err := m.Get(80, "/"); err != nil || status != 200 || !strings.Contains(string(body), "nginx") {
				t.Errorf("server %d answers %d %q, %v", index, status, body, err)
			}
		}
	})
}

func TestACapturedDiskRunsUserDataForItsNewInstanceOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := started(t, machineConfig("i-1", cloudConfig))
		ids := run(t, first, `cat /etc/machine-id /etc/ssh/ssh_host_rsa_key.pub`).Stdout
		first.Reboot()
		time.Sleep(time.Minute)
		if got := run(t, first, `wc -l < /var/log/boots; wc -l < /var/log/runs`).Stdout; got != "2\n1\n" {
			t.Errorf("after a reboot bootcmd and runcmd ran %q times, want 2 and 1", got)
		}
		if r := run(t, first, `cloud-init clean --logs --machine-id; rm -f /etc/ssh/ssh_host_*; echo baked > /opt/baked`); r.ExitCode != 0 {
			t.Fatalf("generalizing fails: %+v", r)
		}
		first.PowerOff(false)
		config := machineConfig("i-2", "#!/bin/bash\necho second > /opt/second\n")
		config.Disks = map[string]Disk{"/dev/xvda": first.Disks()["/dev/xvda"].Fork()}
		second := started(t, config)
		r := run(t, second, `cat /opt/baked /opt/second; systemctl is-active nginx; cat /etc/machine-id /etc/ssh/ssh_host_rsa_key.pub > /tmp/ids; cat /tmp/ids`)
		rest, ok := strings.CutPrefix(r.Stdout, "baked\nsecond\nactive\n")
		if !ok || rest == ids || strings.Count(rest, "\n") != 2 {
			t.Errorf("the stamped server says %q", r.Stdout)
		}
		if _, err := first.Disks()["/dev/xvda"].Read("/opt/second"); err == nil {
			t.Error("the stamped server wrote on the disk that it was stamped from")
		}
	})
}

func TestADiskSurvivesItsEncoding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := started(t, machineConfig("i-1", ""))
		run(t, m, `echo kept > /opt/kept; rm /etc/profile`)
		encoded, err := m.Disks()["/dev/xvda"].Encode()
		if err != nil {
			t.Fatal(err)
		}
		d, err := DecodeDisk(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := d.Read("/opt/kept"); err != nil || string(data) != "kept\n" {
			t.Errorf("the decoded disk has %q, %v", data, err)
		}
		if _, err := d.Read("/etc/profile"); err == nil {
			t.Error("a removed file is back")
		}
		if _, err := d.Read("/usr/bin/cat"); err != nil {
			t.Errorf("the base is missing: %v", err)
		}
	})
}

func TestAScriptThatAsksForARebootRunsAgainAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := started(t, machineConfig("i-1", ""))
		r := run(t, m, `if [ -f /opt/once ]; then echo after; exit 0; fi; touch /opt/once; cat /proc/sys/kernel/random/boot_id > /opt/id; echo before; exit 194`)
		if r.Stdout != "before\nafter\n" || r.ExitCode != 0 {
			t.Errorf("the command ends with %+v", r)
		}
		if r := run(t, m, `cmp -s /opt/id /proc/sys/kernel/random/boot_id`); r.ExitCode != 1 {
			t.Error("the boot id is the same after the reboot")
		}
	})
}

func TestAnUncontrolledRebootInterruptsTheCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := started(t, machineConfig("i-1", ""))
		if r := run(t, m, `echo begun; reboot; sleep 100; echo not reached`); !r.Interrupted || r.Stdout != "begun\n" {
			t.Errorf("the command ends with %+v", r)
		}
		time.Sleep(time.Minute)
		if r := run(t, m, `echo back`); r.Stdout != "back\n" {
			t.Errorf("after the reboot a command ends with %+v", r)
		}
	})
}

func TestCommandsEndByTimeoutCancelAndPowerOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := started(t, machineConfig("i-1", ""))
		results := make(chan Result, 3)
		begin := func(id string, timeout time.Duration) {
			m.Run(Command{ID: id, Shell: "sh", Script: "sleep 50 | cat; echo no", Timeout: timeout}, func(r Result) { results <- r })
		}
		begin("timeout", 5*time.Second)
		if r := <-results; !r.TimedOut || r.Stdout != "" {
			t.Errorf("the late command ends with %+v", r)
		}
		begin("cancel", time.Hour)
		synctest.Wait()
		m.Cancel("cancel")
		if r := <-results; !r.Cancelled {
			t.Errorf("the cancelled command ends with %+v", r)
		}
		begin("off", time.Hour)
		synctest.Wait()
		m.PowerOff(true)
		if r := <-results; !r.Interrupted {
			t.Errorf("the interrupted command ends with %+v", r)
		}
	})
}

func TestTheAgentNeedsAnInstanceProfile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := machineConfig("i-1", "")
		config.Identity.InstanceProfileARN = ""
		m := started(t, config)
		if a := m.Agent(); a.Online || !a.Installed || !m.StatusOK() {
			t.Errorf("the agent of a server without a profile is %+v, status ok %t", a, m.StatusOK())
		}
		config = machineConfig("i-2", "#!/bin/sh\napt-get install -y amazon-ssm-agent\n")
		config.Identity.Distribution = "debian"
		if a := started(t, config).Agent(); !a.Online || a.PlatformName != "Debian GNU/Linux" {
			t.Errorf("the agent that user data installed is %+v", a)
		}
	})
}

func TestAShutdownFromInsideTellsEC2Once(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		off := make(chan struct{}, 2)
		config := machineConfig("i-1", "#!/bin/sh\necho done > /opt/done\nshutdown -h now\n")
		config.PoweredOff = func() { off <- struct{}{} }
		m := started(t, config)
		<-off
		m.PowerOff(false)
		if data, err := m.Disks()["/dev/xvda"].Read("/opt/done"); err != nil || string(data) != "done\n" {
			t.Errorf("the disk holds %q, %v", data, err)
		}
		if len(off) != 0 {
			t.Error("EC2 was told twice")
		}
	})
}

func TestADataVolumeIsFormattedMountedAndCaptured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := machineConfig("i-1", "")
		config.Disks = map[string]Disk{"/dev/xvda": nil, "/dev/sdf": nil}
		m := started(t, config)
		r := run(t, m, `set -e; mkfs.xfs /dev/xvdf; mkdir /data; echo "UUID=$(blkid -s UUID -o value /dev/sdf) /data xfs defaults 0 2" >> /etc/fstab; mount /data; echo rows > /data/table; lsblk | grep -c /data`)
		if r.ExitCode != 0 || r.Stdout != "1\n" {
			t.Fatalf("preparing the volume: %+v", r)
		}
		m.PowerOff(false)
		config.Identity.InstanceID = "i-2"
		config.Disks = map[string]Disk{}
		for device, d := range m.Disks() {
			config.Disks[device] = d.Fork()
		}
		if r := run(t, started(t, config), `cat /data/table`); r.Stdout != "rows\n" {
			t.Errorf("the captured volume: %+v", r)
		}
	})
}

func TestWindowsFollowsItsRules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		off := make(chan struct{}, 1)
		config := machineConfig("i-1", "<powershell>\nSet-Content -Path C:\\app\\x.txt -Value \"hello\"\n</powershell>")
		config.Identity.Distribution, config.Identity.Platform = "windows", "windows"
		config.PoweredOff = func() { off <- struct{}{} }
		m := started(t, config)
		r := run(t, m, "$name = \"x\"\nWrite-Output \"the file\"\nGet-Content C:\\app\\$name.txt\nif (-not (Test-Path C:\\nope)) { Write-Host 'no' }\nGet-Service Foo\nexit 3\nWrite-Output never")
		if r.Stdout != "the file\nhello\nno\n" || r.ExitCode != 3 {
			t.Errorf("the script ends with %+v", r)
		}
		r = run(t, m, "function Quit($code) { exit 9 }\nif ($began) { 'rebooted'; exit 0 }\nRemove-Item -ErrorAction SilentlyContinue -Path $nothing, (Join-Path $x 'y')\nWrite-Output \"$env:site\"\n  $env:site = 'Intranet'\nexit 3010")
		if r.Stdout != "Intranet\nIntranet\n" || r.Stderr != "" || r.ExitCode != 0 {
			t.Errorf("the script that reboots ends with %+v", r)
		}
		m.Run(Command{ID: "s", Shell: "powershell", Script: `& "C:\Program Files\Amazon\EC2Launch\EC2Launch.exe" sysprep --shutdown=true`}, func(Result) {})
		<-off
	})
}

func TestTwoHundredServersBootInOneSecondOfTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var machines []Machine
		host := NewHost()
		for i := range 200 {
			config := machineConfig(fmt.Sprintf("i-%d", i), cloudConfig)
			config.Identity.LaunchIndex = i % 4
			config.Speed = 60
			m := host.New(config)
			m.PowerOn()
			machines = append(machines, m)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i, m := range machines {
			if !m.StatusOK() || !m.Agent().Online {
				t.Errorf("server %d is not up", i)
			}
			m.PowerOff(true)
		}
	})
}

func BenchmarkBootTwoHundredServers(b *testing.B) {
	host := NewHost()
	for b.Loop() {
		var machines []Machine
		for i := range 200 {
			config := machineConfig(fmt.Sprintf("i-%d", i), cloudConfig)
			config.Identity.LaunchIndex = i % 4
			config.Speed = 100_000
			m := host.New(config)
			m.PowerOn()
			machines = append(machines, m)
		}
		for _, m := range machines {
			for !m.Agent().Online {
				time.Sleep(time.Millisecond)
			}
			m.PowerOff(true)
		}
	}
}
