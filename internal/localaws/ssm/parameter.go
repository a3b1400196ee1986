package ssm

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// parameter is a parameter with its history, the oldest version first.
type parameter struct {
	Name, Account, Region string
	Versions              []version
	Tags                  map[string]string
}

type version struct {
	Number                                    int64
	Value, Type, DataType, KeyID, Description string
	AllowedPattern, Tier                      string
	Modified                                  time.Time
}

const (
	maxVersions   = 100
	standardSize  = 4 << 10
	advancedSize  = 8 << 10
	imageType     = "aws:ec2:image"
	validateAfter = 2 * time.Second // until the validation of an AMI id has ended
)

var (
	parameterName = regexp.MustCompile(`^/?[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*$`)
	imageID       = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

func (p *parameter) current() *version { return &p.Versions[len(p.Versions)-1] }

type tag struct{ Key, Value string }

type putInput struct {
	Name, Description, Value, Type, KeyId, AllowedPattern, Tier, Policies, DataType string
	Overwrite                                                                       bool
	Tags                                                                            []tag
}

func (s *Service) putParameter(r *api.Request, in *putInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := key(r.Account, r.Region, in.Name)
	p, exists := s.parameters.Get(name)
	switch {
	case exists && !in.Overwrite:
		return nil, api.Errorf("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case exists && len(in.Tags) > 0:
		return nil, api.Errorf("ValidationException", "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case !exists && in.Type == "":
		return nil, api.Errorf("ValidationException", "A parameter type is required when you create a parameter.")
	}
	v := version{Number: 1, Value: in.Value, Type: in.Type, DataType: in.DataType, KeyID: in.KeyId, Description: in.Description,
		AllowedPattern: in.AllowedPattern, Tier: in.Tier, Modified: time.Now()}
	if exists {
		v.Number = p.current().Number + 1
		v.inherit(p.current())
	}
	v.fillIn()
	if err := v.check(); err != nil {
		return nil, err
	}
	if v.DataType == imageType {
		// The answer does not prove the write: the id is looked up afterwards, and an unknown one changes nothing.
		s.after(s.env.Scale(validateAfter), func() { s.validateImage(r.Account, r.Region, in, v) })
	} else {
		s.store(r.Account, r.Region, in, v)
	}
	return map[string]any{"Version": v.Number, "Tier": v.Tier}, nil
}

func (in *putInput) check() error {
	trimmed := strings.ToLower(strings.TrimPrefix(in.Name, "/"))
	switch {
	case !parameterName.MatchString(in.Name) || len(in.Name) > 1011:
		return api.Errorf("ValidationException", "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_")
	case strings.HasPrefix(trimmed, "aws") || strings.HasPrefix(trimmed, "ssm"):
		return api.Errorf("AccessDeniedException", "No access to reserved parameter name: %s.", in.Name)
	case strings.Contains(in.Name, "/") && !strings.HasPrefix(in.Name, "/"):
		return api.Errorf("ValidationException", "Parameter name must be a fully qualified name.")
	case strings.Count(in.Name, "/") > 15:
		return api.Errorf("HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of 15 levels.")
	case in.Value == "":
		return api.Errorf("ValidationException", "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case in.Type != "" && in.Type != "String" && in.Type != "StringList" && in.Type != "SecureString":
		return api.Errorf("ValidationException", "1 validation error detected: Value '%s' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [SecureString, StringList, String]", in.Type)
	case in.DataType != "" && in.DataType != "text" && in.DataType != imageType:
		return api.Errorf("ValidationException", "The following data type is not supported: %s (Data type names are all lowercase.)", in.DataType)
	}
	return nil
}

// inherit takes over what an overwrite does not say.
func (v *version) inherit(old *version) {
	if v.Type == "" {
		v.Type = old.Type
	}
	if v.DataType == "" {
		v.DataType = old.DataType
	}
	if v.Description == "" {
		v.Description = old.Description
	}
	if v.KeyID == "" {
		v.KeyID = old.KeyID
	}
}

func (v *version) fillIn() {
	if v.DataType == "" {
		v.DataType = "text"
	}
	if v.Tier == "" || v.Tier == "Intelligent-Tiering" {
		v.Tier = "Standard"
		if len(v.Value) > standardSize {
			v.Tier = "Advanced"
		}
	}
	if v.Type == "SecureString" && v.KeyID == "" {
		v.KeyID = "alias/aws/ssm"
	}
}

func (v *version) check() error {
	limit := standardSize
	if v.Tier == "Advanced" {
		limit = advancedSize
	}
	switch {
	case len(v.Value) > limit:
		return api.Errorf("ValidationException", "%s tier parameters support a maximum parameter value of %d characters.", v.Tier, limit)
	case v.DataType == imageType && v.Type != "String":
		return api.Errorf("ValidationException", "The data type aws:ec2:image is valid for the type String only.")
	case v.AllowedPattern != "":
		re, err := regexp.Compile(v.AllowedPattern)
		if err != nil {
			return api.Errorf("InvalidAllowedPatternException", "The pattern %s is not a regular expression: %v", v.AllowedPattern, err)
		}
		if !re.MatchString(v.Value) {
			return api.Errorf("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", v.AllowedPattern)
		}
	}
	return nil
}

// validateImage stores the version if the AMI exists. A version that was written meanwhile keeps its number.
func (s *Service) validateImage(account, region string, in *putInput, v version) {
	if !imageID.MatchString(v.Value) || !s.servers.ImageExists(account, region, v.Value) {
		return
	}
	s.mu.Lock()
	s.store(account, region, in, v)
	s.mu.Unlock()
	s.flush()
}

// store adds the version; the lock is held.
func (s *Service) store(account, region string, in *putInput, v version) {
	name := key(account, region, in.Name)
	p, exists := s.parameters.Get(name)
	if !exists {
		p = &parameter{Name: in.Name, Account: account, Region: region, Tags: map[string]string{}}
		for _, t := range in.Tags {
			p.Tags[t.Key] = t.Value
		}
	}
	if exists {
		v.Number = max(v.Number, p.current().Number+1)
	}
	p.Versions = append(p.Versions, v)
	if extra := len(p.Versions) - maxVersions; extra > 0 {
		p.Versions = p.Versions[extra:]
	}
	s.parameters.Put(name, p)
}

func arn(account, region, name string) string {
	if strings.HasPrefix(name, "/aws/service/") {
		account = ""
	}
	return fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/%s", region, account, strings.TrimPrefix(name, "/"))
}

// shown is a value as GetParameter gives it. An encrypted one without decryption is not readable.
func shown(account, region, name string, v *version, decrypt bool) map[string]any {
	value := v.Value
	if v.Type == "SecureString" && !decrypt {
		value = fmt.Sprintf("AQICAHencrypted+%x", len(v.Value))
	}
	return map[string]any{"Name": name, "Type": v.Type, "Value": value, "Version": v.Number, "LastModifiedDate": epoch(v.Modified),
		"ARN": arn(account, region, name), "DataType": v.DataType}
}

// ImageParameters are the account's parameters in the region that hold the ids of AMIs as aws:ec2:image, by their names.
func (s *Service) ImageParameters(account, region string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]string{}
	for _, p := range s.parameters.All() {
		if v := p.current(); p.Account == account && p.Region == region && v.DataType == imageType {
			found[p.Name] = v.Value
		}
	}
	return found
}
