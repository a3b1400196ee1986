// Package servicequotas is the embedded endpoint's Service Quotas: EC2's vCPU quotas of an account with room for tests. POST
// /_localaws/quota changes one. EC2 itself does not enforce them here.
package servicequotas

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

var protocol = api.JSONProtocol{Version: "1.1"}

// Default is what each quota is until it is changed.
const Default = 100_000

// names are the quotas, by code, with AWS's names.
var names = map[string]string{
	"L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
	"L-34B43A08": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
	"L-DB2E81BA": "Running On-Demand G and VT instances",
	"L-3819A6DF": "All G and VT Spot Instance Requests",
	"L-417A185B": "Running On-Demand P instances",
	"L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
	"L-7295265B": "Running On-Demand X instances",
	"L-E3A00192": "All X Spot Instance Requests",
	"L-1945791B": "Running On-Demand Inf instances",
	"L-B5D1601B": "All Inf Spot Instance Requests",
	"L-2C3B7624": "Running On-Demand Trn instances",
	"L-6B0D517C": "All Trn Spot Instance Requests",
	"L-6E869C2A": "Running On-Demand DL instances",
	"L-85EED4F7": "All DL Spot Instance Requests",
	"L-74FC7D96": "Running On-Demand F instances",
	"L-88CF9481": "All F Spot Instance Requests",
	"L-F7808C92": "Running On-Demand HPC instances",
	"L-43DA4232": "Running On-Demand High Memory instances",
	"L-C4BD4855": "All P5 Spot Instance Requests",
}

// Service is Service Quotas.
type Service struct {
	mu     sync.Mutex
	values *state.Table[float64] // by account/region/code
}

// New reads the quotas that were changed.
func New(env *api.Env) (*Service, error) {
	values, err := state.NewTable[float64](env.Store, "servicequotas.values")
	if err != nil {
		return nil, err
	}
	return &Service{values: values}, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "servicequotas" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	api.Actions{Service: "Service Quotas", Protocol: protocol, Of: map[string]func(*api.Request) (any, error){
		"GetServiceQuota": s.get, "ListServiceQuotas": s.list,
	}}.Serve(w, r)
}

// Controls offers POST /_localaws/quota: {"code": "L-1216C47A", "region": "eu-west-1", "value": 64}.
func (s *Service) Controls() map[string]func(json.RawMessage) (any, error) {
	return map[string]func(json.RawMessage) (any, error){"quota": s.set}
}

func (s *Service) set(body json.RawMessage) (any, error) {
	var in struct {
		Account string   `json:"account"`
		Region  string   `json:"region"`
		Code    string   `json:"code"`
		Value   *float64 `json:"value"`
	}
	if err := api.DecodeJSON(body, &in); err != nil {
		return nil, err
	}
	if names[in.Code] == "" || in.Region == "" || in.Value == nil || *in.Value < 0 {
		return nil, api.Errorf("BadRequest", "expected region, a value from 0 on, and the code of a vCPU quota of EC2, found %s", body)
	}
	if in.Account == "" {
		in.Account = api.DefaultAccount
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values.Put(key(in.Account, in.Region, in.Code), *in.Value)
	return nil, nil
}

func key(account, region, code string) string { return account + "/" + region + "/" + code }

type quota struct {
	ServiceCode, ServiceName       string
	QuotaArn, QuotaCode, QuotaName string
	Value                          float64
	Unit                           string
	Adjustable, GlobalQuota        bool
	QuotaAppliedAtLevel            string
}

func (s *Service) quota(r *api.Request, code string) quota {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, changed := s.values.Get(key(r.Account, r.Region, code))
	if !changed {
		value = Default
	}
	return quota{ServiceCode: "ec2", ServiceName: "Amazon Elastic Compute Cloud (Amazon EC2)", QuotaCode: code, QuotaName: names[code],
		QuotaArn: "arn:aws:servicequotas:" + r.Region + ":" + r.Account + ":ec2/" + code, Value: value, Unit: "None", Adjustable: true,
		QuotaAppliedAtLevel: "ACCOUNT"}
}

func (s *Service) get(r *api.Request) (any, error) {
	var in struct{ ServiceCode, QuotaCode, ContextID string }
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	if in.ServiceCode != "ec2" || names[in.QuotaCode] == "" {
		return nil, api.Errorf("NoSuchResourceException", "The request failed because the specified service quota %s %s does not exist.", in.ServiceCode, in.QuotaCode)
	}
	return struct{ Quota quota }{s.quota(r, in.QuotaCode)}, nil
}

func (s *Service) list(r *api.Request) (any, error) {
	var in struct {
		ServiceCode, NextToken, QuotaCode, QuotaAppliedAtLevel string
		MaxResults                                             *int
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	if in.ServiceCode != "ec2" {
		return nil, api.Errorf("NoSuchResourceException", "The request failed because the specified service %s does not exist.", in.ServiceCode)
	}
	codes := make([]string, 0, len(names))
	for code := range names {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	begin := 0
	if in.NextToken != "" {
		var err error
		if begin, err = strconv.Atoi(in.NextToken); err != nil || begin < 0 || begin > len(codes) {
			return nil, api.Errorf("InvalidPaginationTokenException", "Invalid token was provided.")
		}
	}
	size := 100
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size < 1 || size > 100 {
		return nil, api.Errorf("IllegalArgumentException", "MaxResults %d: expected 1 to 100", size)
	}
	out := struct {
		Quotas    []quota
		NextToken string `json:",omitempty"`
	}{}
	for _, code := range codes[begin:min(begin+size, len(codes))] {
		out.Quotas = append(out.Quotas, s.quota(r, code))
	}
	if begin+size < len(codes) {
		out.NextToken = strconv.Itoa(begin + size)
	}
	return out, nil
}
