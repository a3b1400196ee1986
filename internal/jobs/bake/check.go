package bake

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

const (
	maxSteps    = 100
	maxUserTags = 35 // EC2 takes 50 a resource; ours are among them
	longestStep = 24 * time.Hour
)

var (
	imagePattern        = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,79}(@[1-9][0-9]{0,8})?$`)
	accountPattern      = regexp.MustCompile(`^[0-9]{12}$`)
	organizationPattern = regexp.MustCompile(`^arn:aws[a-z-]*:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}$`)
	ouPattern           = regexp.MustCompile(`^arn:aws[a-z-]*:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/ou-[a-z0-9-]+$`)
	devicePattern       = regexp.MustCompile(`^(/dev/)?[a-z][a-z0-9]{1,15}$`)
)

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	checkVariables(p.At("vars"), s.Vars)
	checkVariables(p.At("env"), s.Env)
	s.checkSteps(p)
	s.checkCapture(p)
	s.checkEncryption(p)
	s.checkTags(p.At("tags"))
	for _, region := range sortedKeys(s.CopyTo) {
		spec.CheckRegion(p.At("copyTo", region), region)
		for _, wrong := range preflight.Key(s.CopyTo[region].KMSKey, region) {
			p.At("copyTo", region, "kmsKey").Add("%s", wrong.Hint, wrong.Message)
		}
	}
	if s.BootTest != nil && *s.BootTest && len(s.Verify) == 0 {
		p.At("bootTest").Add("expected a verify for the boot test to ask", "write verify, or leave bootTest out")
	}
	if d := time.Duration(s.DeprecateAfter); d != 0 && (d < time.Hour || d > 10*365*24*time.Hour) {
		p.At("deprecateAfter").Add("expected 1h to 3650d, found %s", "", s.DeprecateAfter)
	}
	if d := time.Duration(s.OnFailure.KeepBuilder); d > 7*24*time.Hour {
		p.At("onFailure", "keepBuilder").Add("expected at most 7d, found %s", "", s.OnFailure.KeepBuilder)
	}
}

func (s *Spec) checkSteps(p *spec.Problems) {
	if n := len(s.Steps) + len(s.Verify); n > maxSteps {
		p.At("steps").Add("expected at most %d steps and verifies, found %d", "put several into one script", maxSteps, n)
	}
	if !s.inUserData() {
		return
	}
	for i, step := range s.Steps {
		at := p.At("steps", i)
		switch {
		case step.Reboot:
			at.At("reboot").Add("user data runs once, at the first boot", "provision with SSM to reboot")
		case step.Copy != nil && step.Copy.From.IsStored(), step.Run != nil && step.Run.IsStored():
			at.Add("this is too large for user data", "provision with SSM, or fetch it in a script")
		}
	}
	if s.BootTest == nil || *s.BootTest {
		if len(s.Verify) > 0 {
			p.At("bootTest").Add("without SSM nothing can be asked on a server booted from the AMI", "write bootTest: false; verify runs on the builder")
		}
	}
	if slices.Contains(s.Builder.Market.Order, spot) {
		p.At("builder", "market").Add("a spot builder cannot stop itself", "use on-demand, or provision with SSM")
	}
	if s.Capture.NoReboot != nil {
		p.At("capture", "noReboot").Add("with provision userData the builder stops itself", "leave noReboot out")
	}
}

func (s *Spec) checkCapture(p *spec.Problems) {
	volumes := p.At("capture", "volumes")
	if len(s.Capture.Volumes.Include) > 0 && len(s.Capture.Volumes.Exclude) > 0 {
		volumes.Add("expected include or exclude, found both", "remove one of them")
	}
	for name, devices := range map[string][]string{"include": s.Capture.Volumes.Include, "exclude": s.Capture.Volumes.Exclude} {
		for i, device := range devices {
			if !devicePattern.MatchString(device) {
				volumes.At(name, i).Add("expected a device such as /dev/sdf, found %q", "", device)
			}
		}
	}
	if s.direct() && s.Capture.NoReboot == nil {
		return
	}
	if n := s.Capture.NoReboot; n != nil && n.Thaw != nil && n.Freeze == nil {
		p.At("capture", "noReboot", "thaw").Add("thaw needs a freeze before it", "write freeze too")
	}
}

// checkEncryption refuses what could never be shared: snapshots under the AWS-managed key.
func (s *Spec) checkEncryption(p *spec.Problems) {
	if s.Share == nil || s.Share.isZero() {
		return
	}
	const message, hint = "an image under the AWS-managed key cannot be shared", "name a customer-managed kmsKey"
	managed := func(encrypted bool, key string) bool { return encrypted && key == "" || key == "alias/aws/ebs" }
	if v := s.Builder.RootVolume; v != nil && managed(v.Encrypted != nil && *v.Encrypted, v.KMSKey) {
		p.At("builder", "rootVolume", "kmsKey").Add(message, hint)
	}
	for _, device := range sortedKeys(s.Builder.Volumes) {
		if v := s.Builder.Volumes[device]; s.captures(device) && managed(v.Encrypted != nil && *v.Encrypted, v.KMSKey) {
			p.At("builder", "volumes", device, "kmsKey").Add(message, hint)
		}
	}
	for _, region := range sortedKeys(s.CopyTo) {
		if c := s.CopyTo[region]; managed(c.Encrypted, c.KMSKey) {
			p.At("copyTo", region, "kmsKey").Add(message, hint)
		}
	}
}

func (s *Spec) checkTags(p *spec.Problems) {
	if len(s.Tags) > maxUserTags {
		p.Add("expected at most %d tags, found %d", "EC2 takes 50, some of which are ours", maxUserTags, len(s.Tags))
	}
	for _, key := range sortedKeys(s.Tags) {
		switch value := s.Tags[key]; {
		case strings.HasPrefix(key, jobs.TagPrefix), strings.HasPrefix(strings.ToLower(key), "aws:"):
			p.At(key).Add("a tag key that begins with %s or aws: is reserved", "choose another key", jobs.TagPrefix)
		case key == "" || len(key) > 128 || len(value) > 256:
			p.At(key).Add("expected a key of 1 to 128 characters and a value of at most 256", "")
		}
	}
}

// CheckSpec wants exactly one source.
func (s *Source) CheckSpec(p *spec.Problems) {
	given := 0
	for _, has := range []bool{s.AMI != "", s.Parameter != "", s.Newest != nil, s.Image != "", s.Server != ""} {
		if has {
			given++
		}
	}
	if given != 1 {
		p.Add("expected exactly one of ami, parameter, newest, image and server, found %d", "write from: {image: base}", given)
	}
	if s.Image != "" && !imagePattern.MatchString(s.Image) {
		p.At("image").Add("expected an image (base or base@12), found %q", "", s.Image)
	}
	if s.Parameter != "" && strings.ContainsAny(s.Parameter, " \t\n") {
		p.At("parameter").Add("expected the name of an SSM parameter, found %q", "", s.Parameter)
	}
}

// CheckSpec refuses a builder that EC2 could not launch.
func (b *Builder) CheckSpec(p *spec.Problems) {
	if t := b.LaunchTemplate; t != nil && (t.Name == "") == (t.ID == "") {
		p.At("launchTemplate").Add("expected either name or id", "write {name: web, version: \"7\"}")
	}
	for i, market := range b.Market.Order {
		if market != onDemand && market != spot {
			p.At("market").At("order", i).Add("expected on-demand or spot, found %q", "", market)
		}
	}
	for i, name := range b.Types {
		if !strings.Contains(name, ".") {
			p.At("types", i).Add("expected an instance type such as m7g.large, found %q", "", name)
		}
	}
	for _, device := range sortedKeys(b.Volumes) {
		if !devicePattern.MatchString(device) {
			p.At("volumes", device).Add("expected a device such as /dev/sdf", "")
		}
	}
	if d := time.Duration(b.Within); d != 0 && (d < time.Minute || d > 24*time.Hour) {
		p.At("within").Add("expected 1m to 24h, found %s", "", b.Within)
	}
}

// CheckSpec wants exactly one thing to do.
func (s *Step) CheckSpec(p *spec.Problems) {
	given := 0
	for _, has := range []bool{s.Run != nil, s.Copy != nil, s.Reboot} {
		if has {
			given++
		}
	}
	if given != 1 {
		p.Add("expected exactly one of run, copy and reboot, found %d", "make several steps of it", given)
	}
	if s.Run != nil && s.Run.IsZero() {
		p.At("run").Add("expected a script, found none", "")
	}
	if s.Run == nil && len(s.Env)+len(s.Secrets) > 0 {
		p.Add("only run has an environment", "move env and secrets to a run step")
	}
	checkVariables(p.At("env"), s.Env)
	checkVariables(p.At("secrets"), s.Secrets)
	checkTimeout(p.At("timeout"), s.Timeout)
}

// CheckSpec wants something to copy, and an absolute place for it.
func (c *Copy) CheckSpec(p *spec.Problems) {
	if c.From.IsZero() && c.From.Digest == "" {
		p.At("from").Add("expected a file or folder", "write from: ./nginx/")
	}
	if c.To != "" && !strings.HasPrefix(c.To, "/") && !windowsPath.MatchString(c.To) {
		p.At("to").Add("expected an absolute path, found %q", "write /opt/nginx, or C:\\app on Windows", c.To)
	}
}

var windowsPath = regexp.MustCompile(`^[A-Za-z]:[\\/]`)

// CheckSpec wants exactly one thing to ask.
func (v *Verify) CheckSpec(p *spec.Problems) {
	if (v.Run == nil) == (v.HTTP == nil) {
		p.Add("expected either run or http", "make two of it")
	}
	if v.Run != nil && v.Run.IsZero() {
		p.At("run").Add("expected a script, found none", "")
	}
	if v.HTTP != nil && (v.ExitCode != 0 || v.Output != "" || v.Matches != "") {
		p.Add("exitCode, output and matches are for run", "http has status and contains")
	}
	if _, err := regexp.Compile(v.Matches); err != nil {
		p.At("matches").Add("expected a regular expression: %v", "", err)
	}
	checkVariables(p.At("env"), v.Env)
	checkVariables(p.At("secrets"), v.Secrets)
	checkTimeout(p.At("timeout"), v.Timeout)
}

// CheckSpec wants a public share to be meant.
func (s *Share) CheckSpec(p *spec.Problems) {
	for i, account := range s.Accounts {
		if !accountPattern.MatchString(account) {
			p.At("accounts", i).Add("expected an account id of 12 digits, found %q", "write it in quotes", account)
		}
	}
	for i, arn := range s.Organizations {
		if !organizationPattern.MatchString(arn) {
			p.At("organizations", i).Add("expected the ARN of an organization, found %q", "write arn:aws:organizations::111122223333:organization/o-…", arn)
		}
	}
	for i, arn := range s.OUs {
		if !ouPattern.MatchString(arn) {
			p.At("ous", i).Add("expected the ARN of an organizational unit, found %q", "write arn:aws:organizations::111122223333:ou/o-…/ou-…", arn)
		}
	}
	if s.Public != s.PublicConfirmed {
		p.At("publicConfirmed").Add("expected public and publicConfirmed together", "a public image is everybody's to read: write both, or neither")
	}
}

func (s *Share) isZero() bool {
	return len(s.Accounts)+len(s.Organizations)+len(s.OUs) == 0 && !s.Public
}

// CheckSpec wants one launch template.
func (t *PublishTemplate) CheckSpec(p *spec.Problems) {
	if (t.Name == "") == (t.ID == "") {
		p.Add("expected either name or id", "write {name: web}")
	}
}

func checkVariables(p *spec.Problems, names map[string]string) {
	for _, name := range sortedKeys(names) {
		if !guest.IsVariable(name) {
			p.At(name).Add("expected a name of letters, digits and _, not beginning with a digit", "it becomes an environment variable")
		}
		if strings.ContainsRune(names[name], 0) {
			p.At(name).Add("expected a text without zero bytes", "")
		}
	}
}

func checkTimeout(p *spec.Problems, d spec.Duration) {
	if t := time.Duration(d); t != 0 && (t < time.Second || t > longestStep) {
		p.Add("expected 1s to 24h, found %s", "", d)
	}
}
