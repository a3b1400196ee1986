package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// runInput are RunInstances' parameters. DryRun is read after everything was checked.
type runInput struct {
	launchData
	DryRun      bool          `query:"DryRun"`
	MinCount    *int32        `query:"MinCount"`
	MaxCount    *int32        `query:"MaxCount"`
	ClientToken string        `query:"ClientToken"`
	SubnetID    string        `query:"SubnetId"`
	PrivateIP   string        `query:"PrivateIpAddress"`
	Template    *templateSpec `query:"LaunchTemplate"`

	resolved map[string]string // resolve:ssm: image ids
}

// prepare resolves an image id that is an SSM parameter; SSM may ask EC2 back, so not under the lock.
func (in *runInput) prepare(s *Service, r *api.Request) error {
	image := in.ImageID
	if image == "" && in.Template != nil {
		s.mu.Lock()
		if version, err := s.findTemplateVersion(s.scope(r.Account, r.Region), in.Template); err == nil {
			image = version.Data.ImageID
		}
		s.mu.Unlock()
	}
	name, ok := strings.CutPrefix(image, "resolve:ssm:")
	if !ok {
		return nil
	}
	if s.options.ResolveParameter == nil {
		return api.Errorf("UnsupportedOperation", "The image id '%s' names an SSM parameter, but no Parameter Store is attached", image)
	}
	id, err := s.options.ResolveParameter(r.Account, r.Region, name)
	if err != nil {
		return api.Errorf("InvalidAMIID.Malformed", "The parameter '%s' of image id '%s' cannot be resolved: %v", name, image, err)
	}
	in.resolved = map[string]string{image: id}
	return nil
}

func (s *Service) runInstances(c *call, in *runInput) (any, error) {
	if err := checkToken(in.ClientToken); err != nil {
		return nil, err
	}
	tokenKey, digest := s.runTokenKey(c, in), requestDigest(c.Request)
	if in.ClientToken != "" && !in.DryRun {
		if known, ok := s.token(tokenKey, c.now); ok {
			return s.runAgain(c, known, digest)
		}
	}
	plan, err := s.planLaunch(c, in)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRunOperation()
	}
	if err := s.admitResources(c, int(*in.MaxCount)); err != nil {
		return nil, err
	}
	if err := s.choosePool(c, plan); err != nil {
		return nil, err
	}
	instances := s.launch(c, plan)
	if in.ClientToken != "" {
		ids := make([]string, len(instances))
		for i, instance := range instances {
			ids[i] = instance.ID
		}
		s.tables.tokens.Put(tokenKey, &tokenRecord{Digest: digest, IDs: ids, At: c.now})
	}
	return s.reservation(instances), nil
}

// runTokenKey scopes the token as AWS does: by Availability Zone if the placement's or the top-level subnet is given (a
// subnet inside a network interface does not count), else by region.
func (s *Service) runTokenKey(c *call, in *runInput) string {
	zone := ""
	if in.Placement != nil {
		zone = in.Placement.Zone
	}
	if subnet, ok := c.subnets.get(in.SubnetID); ok {
		zone = subnet.Zone
	}
	return strings.Join([]string{"run", c.Account, c.Region, zone, in.ClientToken}, "/")
}

// runAgain answers a token that was used before with what it made.
func (s *Service) runAgain(c *call, known *tokenRecord, digest string) (any, error) {
	if known.Digest != digest {
		return nil, mismatch()
	}
	var instances []*instanceRecord
	alive := false
	for _, id := range known.IDs {
		if instance, ok := c.instances.get(id); ok {
			instances = append(instances, instance)
			alive = alive || instance.live()
		}
	}
	if !alive {
		return nil, api.Errorf("IdempotentInstanceTerminated", "The client token in the request corresponds to instances that have been terminated.")
	}
	return s.reservation(instances), nil
}

func mismatch() error {
	return api.Errorf("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
}

// token finds what a client token made, unless it is too old.
func (s *Service) token(key string, now time.Time) (*tokenRecord, bool) {
	known, ok := s.tables.tokens.Get(key)
	if ok && now.Sub(known.At) > s.options.TokenKept {
		s.tables.tokens.Delete(key)
		return nil, false
	}
	return known, ok
}

// maxTokenLength is RunInstances' limit ("Idempotency" in aws-facts.md).
const maxTokenLength = 64

func checkToken(token string) error {
	ascii := !strings.ContainsFunc(token, func(r rune) bool { return r > 127 })
	if len(token) > maxTokenLength || !ascii {
		return api.Errorf("InvalidParameterValue", "The client token is %d bytes long or not ASCII; expected at most %d ASCII characters", len(token), maxTokenLength)
	}
	return nil
}

// requestDigest is what a repeated request must equal: all parameters but the token.
func requestDigest(r *api.Request) string {
	hash := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(r.Form)) {
		if key == "ClientToken" || key == "Version" || key == "Action" || strings.HasPrefix(key, "X-Amz-") {
			continue
		}
		hash.Write([]byte(key + "=" + strings.Join(r.Form[key], "\x00") + "\x01"))
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}
