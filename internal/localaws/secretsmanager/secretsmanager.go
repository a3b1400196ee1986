// Package secretsmanager is the embedded endpoint's Secrets Manager: secrets with versions and staging labels. Values lie
// in the state file as they are; it is no place for real secrets.
package secretsmanager

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

var protocol = api.JSONProtocol{Version: "1.1"}

// Service is Secrets Manager.
type Service struct {
	env     *api.Env
	mu      sync.Mutex
	secrets *state.Table[secret] // by account/region/name
}

type secret struct {
	Name, ARN, Description, KMSKey string
	Tags                           []tag
	Created, Changed               time.Time
	Deleted                        time.Time // when it goes for good; zero: it stays
	Versions                       []version
}

type version struct {
	ID      string
	String  *string
	Binary  []byte
	Stages  []string
	Created time.Time
}

type tag struct{ Key, Value string }

// New reads the secrets.
func New(env *api.Env) (*Service, error) {
	secrets, err := state.NewTable[secret](env.Store, "secretsmanager.secrets")
	if err != nil {
		return nil, err
	}
	return &Service{env: env, secrets: secrets}, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "secretsmanager" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	api.Actions{Service: "Secrets Manager", Protocol: protocol, Lock: &s.mu, Of: map[string]func(*api.Request) (any, error){
		"CreateSecret": s.create, "PutSecretValue": s.put, "GetSecretValue": s.get, "DescribeSecret": s.describe, "DeleteSecret": s.delete,
	}}.Serve(w, r)
}

var secretName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)

type written struct {
	ARN, Name     string
	VersionID     string   `json:"VersionId,omitempty"`
	VersionStages []string `json:",omitempty"`
}

func (s *Service) create(r *api.Request) (any, error) {
	var in struct {
		Name, Description, KmsKeyID string
		ClientRequestToken          string
		SecretString                *string
		SecretBinary                []byte
		Tags                        []tag
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	if !secretName.MatchString(in.Name) {
		return nil, api.Errorf("InvalidParameterException", "Invalid name %q: expected 1 to 512 letters, digits and /_+=.@-", in.Name)
	}
	key := r.Account + "/" + r.Region + "/" + in.Name
	if old, ok := s.secrets.Get(key); ok && (old.Deleted.IsZero() || old.Deleted.After(time.Now())) {
		if !old.Deleted.IsZero() {
			return nil, api.Errorf("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
		}
		return nil, api.Errorf("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
	}
	now := time.Now()
	suffix := api.Alphanumeric(s.env.Rand("secretsmanager", "create", key), 6)
	made := secret{
		Name: in.Name, ARN: "arn:aws:secretsmanager:" + r.Region + ":" + r.Account + ":secret:" + in.Name + "-" + suffix,
		Description: in.Description, KMSKey: in.KmsKeyID, Tags: in.Tags, Created: now, Changed: now,
	}
	result := written{ARN: made.ARN, Name: made.Name}
	if in.SecretString != nil || in.SecretBinary != nil {
		id, err := s.add(&made, in.ClientRequestToken, in.SecretString, in.SecretBinary)
		if err != nil {
			return nil, err
		}
		result.VersionID = id
	}
	s.secrets.Put(key, made)
	return result, nil
}

func (s *Service) put(r *api.Request) (any, error) {
	var in struct {
		SecretID           string `json:"SecretId"`
		ClientRequestToken string
		SecretString       *string
		SecretBinary       []byte
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	key, found, err := s.find(r, in.SecretID)
	if err != nil {
		return nil, err
	}
	id, err := s.add(&found, in.ClientRequestToken, in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	found.Changed = time.Now()
	s.secrets.Put(key, found)
	return written{ARN: found.ARN, Name: found.Name, VersionID: id, VersionStages: []string{"AWSCURRENT"}}, nil
}

// add makes a version and hands it AWSCURRENT. A version with the same token and value is there already.
func (s *Service) add(to *secret, token string, text *string, binary []byte) (string, error) {
	if (text == nil) == (binary == nil) {
		return "", api.Errorf("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
	}
	if text != nil && len(*text) > 65536 || len(binary) > 65536 {
		return "", api.Errorf("InvalidParameterException", "A secret value has at most 65536 bytes.")
	}
	if token == "" {
		token = api.UUID(s.env.Rand("secretsmanager", "version", to.ARN))
	}
	if len(token) < 32 || len(token) > 64 {
		return "", api.Errorf("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
	}
	versions := slices.Clone(to.Versions)
	for _, v := range versions {
		if v.ID == token {
			if slices.Equal(v.Binary, binary) && (text == nil) == (v.String == nil) && (text == nil || *text == *v.String) {
				return token, nil
			}
			return "", api.Errorf("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", token, to.ARN)
		}
	}
	kept := versions[:0]
	for _, v := range versions {
		if slices.Contains(v.Stages, "AWSCURRENT") {
			v.Stages = []string{"AWSPREVIOUS"}
			kept = append(kept, v)
		}
	}
	kept = append(kept, version{ID: token, String: text, Binary: binary, Stages: []string{"AWSCURRENT"}, Created: time.Now()})
	to.Versions = kept
	return token, nil
}

func (s *Service) get(r *api.Request) (any, error) {
	var in struct {
		SecretID     string `json:"SecretId"`
		VersionID    string `json:"VersionId"`
		VersionStage string
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	_, found, err := s.find(r, in.SecretID)
	if err != nil {
		return nil, err
	}
	if in.VersionID == "" && in.VersionStage == "" {
		in.VersionStage = "AWSCURRENT"
	}
	for _, v := range found.Versions {
		if (in.VersionID == "" || v.ID == in.VersionID) && (in.VersionStage == "" || slices.Contains(v.Stages, in.VersionStage)) {
			return struct {
				written
				SecretString *string `json:",omitempty"`
				SecretBinary []byte  `json:",omitempty"`
				CreatedDate  float64
			}{written{found.ARN, found.Name, v.ID, v.Stages}, v.String, v.Binary, seconds(v.Created)}, nil
		}
	}
	return nil, api.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", in.VersionStage)
}

func (s *Service) describe(r *api.Request) (any, error) {
	var in struct {
		SecretID string `json:"SecretId"`
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	_, found, err := s.findDeleted(r, in.SecretID)
	if err != nil {
		return nil, err
	}
	stages := map[string][]string{}
	for _, v := range found.Versions {
		stages[v.ID] = v.Stages
	}
	result := map[string]any{
		"ARN": found.ARN, "Name": found.Name, "CreatedDate": seconds(found.Created), "LastChangedDate": seconds(found.Changed),
		"VersionIdsToStages": stages, "Tags": append([]tag{}, found.Tags...),
	}
	if found.Description != "" {
		result["Description"] = found.Description
	}
	if found.KMSKey != "" {
		result["KmsKeyId"] = found.KMSKey
	}
	if !found.Deleted.IsZero() {
		result["DeletedDate"] = seconds(found.Deleted)
	}
	return result, nil
}

func (s *Service) delete(r *api.Request) (any, error) {
	var in struct {
		SecretID                   string `json:"SecretId"`
		RecoveryWindowInDays       *int
		ForceDeleteWithoutRecovery bool
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	key, found, err := s.findDeleted(r, in.SecretID)
	if err != nil {
		return nil, err
	}
	days := 30
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	if in.RecoveryWindowInDays != nil && in.ForceDeleteWithoutRecovery || days < 7 || days > 30 {
		return nil, api.Errorf("InvalidParameterException", "Give RecoveryWindowInDays from 7 to 30, or ForceDeleteWithoutRecovery, not both.")
	}
	found.Deleted = time.Now().AddDate(0, 0, days)
	if in.ForceDeleteWithoutRecovery {
		found.Deleted = time.Now()
		s.secrets.Delete(key)
	} else {
		s.secrets.Put(key, found)
	}
	return struct {
		ARN, Name    string
		DeletionDate float64
	}{found.ARN, found.Name, seconds(found.Deleted)}, nil
}

// find is the secret by its name or ARN, whole or without the random end; one that waits for its deletion is refused.
func (s *Service) find(r *api.Request, id string) (string, secret, error) {
	key, found, err := s.findDeleted(r, id)
	if err == nil && !found.Deleted.IsZero() {
		err = api.Errorf("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	return key, found, err
}

func (s *Service) findDeleted(r *api.Request, id string) (string, secret, error) {
	prefix := "arn:aws:secretsmanager:" + r.Region + ":" + r.Account + ":secret:"
	name, isARN := strings.CutPrefix(id, prefix)
	candidates := []string{name}
	if at := strings.LastIndex(name, "-"); isARN && at > 0 {
		candidates = append(candidates, name[:at])
	}
	for _, candidate := range candidates {
		key := r.Account + "/" + r.Region + "/" + candidate
		found, ok := s.secrets.Get(key)
		if ok && (candidate == name || found.ARN == id) && (found.Deleted.IsZero() || found.Deleted.After(time.Now())) {
			return key, found, nil
		}
	}
	return "", secret{}, api.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }
