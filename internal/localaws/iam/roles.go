package iam

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// role is a role that CreateRole made. Those that nobody made can be assumed all the same (see sts), but no service acts as
// one of them.
type role struct {
	Account, Path, Name, Description string
	Trust                            string
	Policies                         map[string]string // inline ones, by name
	Created                          time.Time
}

func (r *role) key() string { return r.Account + "/" + r.Name }
func (r *role) arn() string { return "arn:aws:iam::" + r.Account + ":role" + r.Path + r.Name }

type shownRole struct {
	Path, RoleName, RoleId, Arn, CreateDate, AssumeRolePolicyDocument string
	Description                                                       string `xml:",omitempty"`
}

func (r *role) shown() any {
	return struct{ Role shownRole }{shownRole{r.Path, r.Name, "AROA" + digits(r.arn()), r.arn(), r.Created.UTC().Format(time.RFC3339),
		url.QueryEscape(r.Trust), r.Description}}
}

// Assumable reports whether the role is there and lets the AWS service assume it.
func (s *Service) Assumable(roleARN, service string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byARN(roleARN)
	return ok && slices.ContainsFunc(statements(r.Trust), func(st statement) bool {
		return st.Effect == "Allow" && has(st.Action, "sts:AssumeRole") && has(st.Principal.Service, service)
	})
}

// May reports whether one of the role's policies allows the action on the resource.
func (s *Service) May(roleARN, action, resource string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byARN(roleARN)
	if !ok {
		return false
	}
	allowed := false
	for _, policy := range r.Policies {
		for _, st := range statements(policy) {
			if has(st.Action, action) && has(st.Resource, resource) {
				if st.Effect == "Deny" {
					return false
				}
				allowed = true
			}
		}
	}
	return allowed
}

func (s *Service) byARN(arn string) (role, bool) {
	part := strings.Split(arn, ":") // arn:aws:iam::ACCOUNT:role/PATH/NAME
	if len(part) != 6 {
		return role{}, false
	}
	r, ok := s.roles.Get(part[4] + "/" + arn[strings.LastIndexByte(arn, '/')+1:])
	return r, ok && r.arn() == arn
}

type statement struct {
	Effect    string
	Action    any
	Resource  any
	Principal struct{ Service any }
}

func statements(policy string) []statement {
	var document struct{ Statement []statement }
	if json.Unmarshal([]byte(policy), &document) != nil {
		return nil
	}
	return document.Statement
}

// has reports whether a text, or one of a list, is the value, or a pattern of it that ends with a star.
func has(texts any, value string) bool {
	if list, ok := texts.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return has(one, value) })
	}
	text, ok := texts.(string)
	if prefix, wild := strings.CutSuffix(text, "*"); ok && wild {
		return strings.HasPrefix(value, prefix)
	}
	return ok && text == value
}

func (s *Service) createRole(r *api.Request) (any, error) {
	var in struct {
		Name        string `query:"RoleName"`
		Path        string `query:"Path"`
		Description string `query:"Description"`
		Trust       string `query:"AssumeRolePolicyDocument"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	if in.Path == "" {
		in.Path = "/"
	}
	if !profileName.MatchString(in.Name) || len(in.Name) > 64 || !profilePath.MatchString(in.Path) {
		return nil, api.Errorf("ValidationError", "The specified value for roleName is invalid: expected up to 64 letters, digits and +=,.@_- and a path that begins and ends with a slash")
	}
	if len(statements(in.Trust)) == 0 {
		return nil, api.Errorf("MalformedPolicyDocument", "This policy contains invalid Json, or no statement")
	}
	made := role{Account: r.Account, Path: in.Path, Name: in.Name, Description: in.Description, Trust: in.Trust, Created: time.Now()}
	if _, exists := s.roles.Get(made.key()); exists {
		return nil, &api.Error{Code: "EntityAlreadyExists", Status: http.StatusConflict, Message: "Role with name " + in.Name + " already exists."}
	}
	s.roles.Put(made.key(), made)
	return made.shown(), nil
}

// roleNamed is the role that the request names.
func (s *Service) roleNamed(r *api.Request, name string) (role, error) {
	found, exists := s.roles.Get(r.Account + "/" + name)
	if !exists {
		return role{}, &api.Error{Code: "NoSuchEntity", Status: http.StatusNotFound, Message: "The role with name " + name + " cannot be found."}
	}
	return found, nil
}

type roleIn struct {
	Name string `query:"RoleName"`
}

type policyIn struct {
	roleIn
	Policy string `query:"PolicyName"`
}

type documentIn struct {
	policyIn
	Document string `query:"PolicyDocument"`
}

func (in roleIn) named() string { return in.Name }

// asked reads a request about a role, and finds the role.
func asked[In interface{ named() string }](s *Service, r *api.Request) (in In, found role, err error) {
	if err = api.DecodeQuery(r.Form, &in); err == nil {
		found, err = s.roleNamed(r, in.named())
	}
	return in, found, err
}

func (s *Service) getRole(r *api.Request) (any, error) {
	_, found, err := asked[roleIn](s, r)
	if err != nil {
		return nil, err
	}
	return found.shown(), nil
}

func (s *Service) putRolePolicy(r *api.Request) (any, error) {
	in, found, err := asked[documentIn](s, r)
	if err != nil {
		return nil, err
	}
	if !profileName.MatchString(in.Policy) || len(statements(in.Document)) == 0 {
		return nil, api.Errorf("MalformedPolicyDocument", "Syntax errors in policy, or in its name")
	}
	policies := maps.Clone(found.Policies)
	if policies == nil {
		policies = map[string]string{}
	}
	policies[in.Policy] = in.Document
	found.Policies = policies
	s.roles.Put(found.key(), found)
	return nil, nil
}

func (s *Service) listRolePolicies(r *api.Request) (any, error) {
	_, found, err := asked[roleIn](s, r)
	if err != nil {
		return nil, err
	}
	return struct {
		PolicyNames []string `xml:"PolicyNames>member"`
		IsTruncated bool
	}{PolicyNames: slices.Sorted(maps.Keys(found.Policies))}, nil
}

func (s *Service) deleteRolePolicy(r *api.Request) (any, error) {
	in, found, err := asked[policyIn](s, r)
	if err != nil {
		return nil, err
	}
	if _, exists := found.Policies[in.Policy]; !exists {
		return nil, &api.Error{Code: "NoSuchEntity", Status: http.StatusNotFound, Message: "The role policy with name " + in.Policy + " cannot be found."}
	}
	found.Policies = maps.Clone(found.Policies)
	delete(found.Policies, in.Policy)
	s.roles.Put(found.key(), found)
	return nil, nil
}

func (s *Service) deleteRole(r *api.Request) (any, error) {
	_, found, err := asked[roleIn](s, r)
	if err != nil {
		return nil, err
	}
	if len(found.Policies) > 0 {
		return nil, &api.Error{Code: "DeleteConflict", Status: http.StatusConflict, Message: "Cannot delete entity, must delete policies first."}
	}
	s.roles.Delete(found.key())
	return nil, nil
}
