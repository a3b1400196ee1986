// Package iam is the embedded endpoint's IAM: instance profiles, to be looked up, and roles that services act as. Every profile
// that is asked for is there, as every role can be assumed, until POST /_localaws/instance-profiles says which ones are; EC2 then
// launches with no other. EventBridge acts only as a role that was made, that trusts it, and that may.
package iam

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

var protocol = api.QueryProtocol{Namespace: "https://iam.amazonaws.com/doc/2010-05-08/"}

// Service is IAM.
type Service struct {
	mu    sync.Mutex
	known *state.Table[map[string]profile] // by account: the profiles by name, if it was said which there are
	roles *state.Table[role]               // by account/name
}

// profile is an instance profile that was said to be there.
type profile struct {
	Path string // begins and ends with a slash
	Role string `json:",omitempty"` // empty: it has none
}

// New reads which profiles there are.
func New(env *api.Env) (*Service, error) {
	known, err := state.NewTable[map[string]profile](env.Store, "iam.profiles")
	if err != nil {
		return nil, err
	}
	roles, err := state.NewTable[role](env.Store, "iam.roles")
	if err != nil {
		return nil, err
	}
	return &Service{known: known, roles: roles}, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "iam" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	api.Actions{Service: "IAM", Protocol: protocol, Lock: &s.mu, Of: map[string]func(*api.Request) (any, error){
		"GetInstanceProfile": s.get, "CreateRole": s.createRole, "GetRole": s.getRole, "DeleteRole": s.deleteRole,
		"PutRolePolicy": s.putRolePolicy, "ListRolePolicies": s.listRolePolicies, "DeleteRolePolicy": s.deleteRolePolicy,
	}}.Serve(w, r)
}

// ProfileARN is the ARN of an account's instance profile of that name or ARN, and whether there is one.
func (s *Service) ProfileARN(account, nameOrARN string) (arn string, exists bool) {
	name := nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
	p, exists := s.find(account, name)
	arn = p.arn(account, name)
	if name == nameOrARN {
		return arn, exists
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, said := s.known.Get(account); !said {
		return nameOrARN, true
	}
	return arn, exists && arn == nameOrARN
}

func (s *Service) find(account, name string) (profile, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.findLocked(account, name)
}

func (s *Service) findLocked(account, name string) (profile, bool) {
	names, said := s.known.Get(account)
	if !said {
		return profile{Path: "/", Role: name}, true
	}
	p, exists := names[name]
	return p, exists
}

func (p profile) arn(account, name string) string {
	return "arn:aws:iam::" + account + ":instance-profile" + p.Path + name
}

var (
	profileName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
	profilePath = regexp.MustCompile(`^/([!-~]+/)?$`)
)

// created is when all of them were made.
var created = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339)

func (s *Service) get(r *api.Request) (any, error) {
	var in struct {
		Name string `query:"InstanceProfileName"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	if !profileName.MatchString(in.Name) {
		return nil, api.Errorf("ValidationError", "The specified value for instanceProfileName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-")
	}
	p, exists := s.findLocked(r.Account, in.Name)
	if !exists {
		return nil, &api.Error{Code: "NoSuchEntity", Status: http.StatusNotFound, Message: "Instance Profile " + in.Name + " cannot be found."}
	}
	type role struct {
		Path, RoleName, RoleId, Arn, CreateDate string
	}
	type instanceProfile struct {
		Path, InstanceProfileName, InstanceProfileId, Arn, CreateDate string
		Roles                                                         []role `xml:"Roles>member"`
	}
	out := instanceProfile{Path: p.Path, InstanceProfileName: in.Name, InstanceProfileId: "AIPA" + digits(p.arn(r.Account, in.Name)),
		Arn: p.arn(r.Account, in.Name), CreateDate: created}
	if p.Role != "" {
		arn := "arn:aws:iam::" + r.Account + ":role/" + p.Role
		out.Roles = []role{{"/", p.Role, "AROA" + digits(arn), arn, created}}
	}
	return struct{ InstanceProfile instanceProfile }{out}, nil
}

// digits are an id's, as a function of what it is the id of.
func digits(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return strings.ToUpper(hex.EncodeToString(sum[:9]))[:17]
}

// Controls offers POST /_localaws/instance-profiles: {"profiles": [{"name": "web"}, {"name": "api", "path": "/apps/", "role": ""}]}
// says which there are; without profiles, every one is again.
func (s *Service) Controls() map[string]func(json.RawMessage) (any, error) {
	return map[string]func(json.RawMessage) (any, error){"instance-profiles": s.set}
}

func (s *Service) set(body json.RawMessage) (any, error) {
	var in struct {
		Account  string `json:"account"`
		Profiles []struct {
			Name string  `json:"name"`
			Path string  `json:"path"`
			Role *string `json:"role"` // absent: of its own name
		} `json:"profiles"`
	}
	if err := api.DecodeJSON(body, &in); err != nil {
		return nil, err
	}
	if in.Account == "" {
		in.Account = api.DefaultAccount
	}
	names := map[string]profile{}
	for _, p := range in.Profiles {
		made := profile{Path: p.Path, Role: p.Name}
		if made.Path == "" {
			made.Path = "/"
		}
		if p.Role != nil {
			made.Role = *p.Role
		}
		if !profileName.MatchString(p.Name) || !profilePath.MatchString(made.Path) || made.Role != "" && !profileName.MatchString(made.Role) {
			return nil, api.Errorf("BadRequest", "expected names of letters, digits and +=,.@_- and a path that begins and ends with a slash, found %s", body)
		}
		names[p.Name] = made
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Profiles == nil {
		s.known.Delete(in.Account)
	} else {
		s.known.Put(in.Account, names)
	}
	return nil, nil
}
