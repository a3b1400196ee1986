// Package sts is the embedded endpoint's security token service. Any role of any account can be assumed by anyone: the
// temporary access key that comes back carries the role's account, by which the endpoint routes later calls.
package sts

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

var protocol = api.QueryProtocol{Namespace: "https://sts.amazonaws.com/doc/2011-06-15/"}

// Service is STS.
type Service struct {
	env      *api.Env
	mu       sync.Mutex
	sessions *state.Table[session] // by access key
}

type session struct {
	ARN, UserID string
	Expires     time.Time
}

// New reads the sessions.
func New(env *api.Env) (*Service, error) {
	sessions, err := state.NewTable[session](env.Store, "sts.sessions")
	if err != nil {
		return nil, err
	}
	return &Service{env: env, sessions: sessions}, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "sts" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	api.Actions{Service: "STS", Protocol: protocol, Of: map[string]func(*api.Request) (any, error){
		"GetCallerIdentity": s.callerIdentity, "AssumeRole": s.assumeRole,
	}}.Serve(w, r)
}

func (s *Service) callerIdentity(r *api.Request) (any, error) {
	if err := api.DecodeQuery(r.Form, &struct{}{}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	caller, ok := s.sessions.Get(r.AccessKey)
	if !ok {
		caller = session{ARN: "arn:aws:iam::" + r.Account + ":root", UserID: r.Account}
	}
	return struct {
		Arn, UserId, Account string
	}{caller.ARN, caller.UserID, r.Account}, nil
}

var (
	roleARN     = regexp.MustCompile(`^arn:aws:iam::([0-9]{12}):role/([\w+=,.@/-]+)$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

func (s *Service) assumeRole(r *api.Request) (any, error) {
	var in struct {
		RoleArn           string   `query:"RoleArn"`
		RoleSessionName   string   `query:"RoleSessionName"`
		DurationSeconds   *int     `query:"DurationSeconds"`
		ExternalID        string   `query:"ExternalId"`
		Policy            string   `query:"Policy"`
		SourceIdentity    string   `query:"SourceIdentity"`
		TransitiveTagKeys []string `query:"TransitiveTagKeys.member"`
		Tags              []struct {
			Key   string `query:"Key"`
			Value string `query:"Value"`
		} `query:"Tags.member"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	role := roleARN.FindStringSubmatch(in.RoleArn)
	if role == nil {
		return nil, api.Errorf("ValidationError", "%q is not a role's ARN: expected arn:aws:iam::123456789012:role/NAME", in.RoleArn)
	}
	if !sessionName.MatchString(in.RoleSessionName) {
		return nil, api.Errorf("ValidationError", "RoleSessionName %q: expected 2 to 64 letters, digits and _+=,.@-", in.RoleSessionName)
	}
	seconds := 3600
	if in.DurationSeconds != nil {
		seconds = *in.DurationSeconds
	}
	if seconds < 900 || seconds > 43200 {
		return nil, api.Errorf("ValidationError", "DurationSeconds %d: expected 900 to 43200", seconds)
	}
	random := s.env.Rand("sts", "AssumeRole", in.RoleArn, in.RoleSessionName)
	key := "ASIA" + role[1] + api.Alphanumeric(random, 12)
	name := role[2][strings.LastIndex(role[2], "/")+1:]
	opened := session{
		ARN:     "arn:aws:sts::" + role[1] + ":assumed-role/" + name + "/" + in.RoleSessionName,
		UserID:  "AROA" + api.Alphanumeric(s.env.Rand("sts", "role", in.RoleArn), 17) + ":" + in.RoleSessionName,
		Expires: time.Now().Add(time.Duration(seconds) * time.Second).UTC(),
	}
	s.mu.Lock()
	s.sessions.Put(key, opened)
	s.mu.Unlock()
	type credentials struct {
		AccessKeyId, SecretAccessKey, SessionToken, Expiration string
	}
	type user struct{ AssumedRoleId, Arn string }
	return struct {
		Credentials     credentials
		AssumedRoleUser user
	}{
		credentials{key, api.Hex(random, 40), api.Hex(random, 120), opened.Expires.Format(time.RFC3339)},
		user{opened.UserID, opened.ARN},
	}, nil
}
