package ssm

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

const publicPrefix = "/aws/service/"

// find gives a parameter's version by name, name:version or ARN; the lock is held for the account's own.
func (s *Service) find(r *api.Request, asked string, decrypt bool) (map[string]any, error) {
	name := strings.TrimSpace(asked)
	if rest, ok := strings.CutPrefix(name, "arn:aws:ssm:"); ok {
		_, name, _ = strings.Cut(rest, ":parameter")
	}
	name, selector, selected := strings.Cut(name, ":")
	if strings.HasPrefix(name, publicPrefix) {
		public, ok := s.servers.PublicParameters(r.Region)[name]
		if !ok || selected && selector != "1" {
			return nil, notFound(asked)
		}
		v := version{Number: 1, Value: public.ImageID, Type: "String", DataType: imageType, Modified: public.Created}
		return shown(r.Account, r.Region, name, &v, true), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.parameters.Get(key(r.Account, r.Region, name))
	if !ok {
		return nil, notFound(asked)
	}
	if !selected {
		return shown(r.Account, r.Region, name, p.current(), decrypt), nil
	}
	number, err := strconv.ParseInt(selector, 10, 64)
	for i := range p.Versions {
		if err == nil && p.Versions[i].Number == number {
			out := shown(r.Account, r.Region, name, &p.Versions[i], decrypt)
			out["Selector"] = ":" + selector
			return out, nil
		}
	}
	return nil, api.Errorf("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector, name)
}

func notFound(name string) error { return api.Errorf("ParameterNotFound", "%s", name) }

type getInput struct {
	Name           string
	WithDecryption bool
}

func (s *Service) getParameter(r *api.Request, in *getInput) (any, error) {
	found, err := s.find(r, in.Name, in.WithDecryption)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Parameter": found}, nil
}

type getAllInput struct {
	Names          []string
	WithDecryption bool
}

func (s *Service) getParameters(r *api.Request, in *getAllInput) (any, error) {
	if len(in.Names) == 0 || len(in.Names) > 10 {
		return nil, api.Errorf("ValidationException", "Names has %d members: expected 1 to 10", len(in.Names))
	}
	found, invalid := []any{}, []string{}
	for _, name := range in.Names {
		one, err := s.find(r, name, in.WithDecryption)
		if err != nil {
			invalid = append(invalid, name)
			continue
		}
		found = append(found, one)
	}
	return map[string]any{"Parameters": found, "InvalidParameters": invalid}, nil
}

type stringFilter struct {
	Key, Option string
	Values      []string
}

type pathInput struct {
	Path                      string
	Recursive, WithDecryption bool
	ParameterFilters          []stringFilter
	MaxResults                int
	NextToken                 string
}

func (s *Service) getParametersByPath(r *api.Request, in *pathInput) (any, error) {
	if !strings.HasPrefix(in.Path, "/") {
		return nil, api.Errorf("ValidationException", "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".")
	}
	below := strings.TrimSuffix(in.Path, "/") + "/"
	all := []any{}
	if strings.HasPrefix(below, publicPrefix) {
		public := s.servers.PublicParameters(r.Region)
		for _, name := range slices.Sorted(maps.Keys(public)) {
			if rest, ok := strings.CutPrefix(name, below); ok && (in.Recursive || !strings.Contains(rest, "/")) {
				v := version{Number: 1, Value: public[name].ImageID, Type: "String", DataType: imageType, Modified: public[name].Created}
				all = append(all, shown(r.Account, r.Region, name, &v, true))
			}
		}
	} else {
		own, err := s.matching(r, in.ParameterFilters)
		if err != nil {
			return nil, err
		}
		for _, p := range own {
			if rest, ok := strings.CutPrefix(p.Name, below); ok && (in.Recursive || !strings.Contains(rest, "/")) {
				all = append(all, shown(r.Account, r.Region, p.Name, p.current(), in.WithDecryption))
			}
		}
	}
	list, next, err := page(all, in.MaxResults, in.NextToken, 10)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Parameters": list, "NextToken": next}, nil
}

// matching are copies of the account's parameters that pass the filters, by name.
func (s *Service) matching(r *api.Request, filters []stringFilter) ([]parameter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []parameter
	for _, p := range s.parameters.All() {
		if p.Account != r.Account || p.Region != r.Region {
			continue
		}
		ok := true
		for _, f := range filters {
			matched, err := f.matches(p)
			if err != nil {
				return nil, err
			}
			ok = ok && matched
		}
		if ok {
			found = append(found, *p)
		}
	}
	return found, nil
}

func (f stringFilter) matches(p *parameter) (bool, error) {
	value := ""
	label, isTag := strings.CutPrefix(f.Key, "tag:")
	switch {
	case isTag:
		v, ok := p.Tags[label]
		return ok && (len(f.Values) == 0 || slices.Contains(f.Values, v)), nil
	case f.Key == "Name":
		value = p.Name
	case f.Key == "Type":
		value = p.current().Type
	case f.Key == "DataType":
		value = p.current().DataType
	case f.Key == "KeyId":
		value = p.current().KeyID
	case f.Key == "Tier":
		value = p.current().Tier
	case f.Key == "Path":
		return slices.ContainsFunc(f.Values, func(v string) bool {
			rest, ok := strings.CutPrefix(p.Name, strings.TrimSuffix(v, "/")+"/")
			return ok && (f.Option == "Recursive" || !strings.Contains(rest, "/"))
		}), nil
	default:
		return false, api.Errorf("InvalidFilterKey", "The specified filter key isn't valid: %s", f.Key)
	}
	return slices.ContainsFunc(f.Values, func(v string) bool {
		switch f.Option {
		case "BeginsWith":
			return strings.HasPrefix(strings.TrimPrefix(value, "/"), strings.TrimPrefix(v, "/"))
		case "Contains":
			return strings.Contains(value, v)
		}
		return strings.TrimPrefix(value, "/") == strings.TrimPrefix(v, "/")
	}), nil
}

type describeInput struct {
	Filters []struct {
		Key    string
		Values []string
	}
	ParameterFilters []stringFilter
	MaxResults       int
	NextToken        string
	Shared           bool
}

func (s *Service) describeParameters(r *api.Request, in *describeInput) (any, error) {
	filters := in.ParameterFilters
	for _, f := range in.Filters {
		filters = append(filters, stringFilter{Key: f.Key, Values: f.Values})
	}
	found, err := s.matching(r, filters)
	if err != nil {
		return nil, err
	}
	list, next, err := page(found, in.MaxResults, in.NextToken, 50)
	if err != nil {
		return nil, err
	}
	all := make([]any, 0, len(list))
	for _, p := range list {
		all = append(all, describe(&p, p.current()))
	}
	return map[string]any{"Parameters": all, "NextToken": next}, nil
}

func describe(p *parameter, v *version) map[string]any {
	out := map[string]any{"Name": p.Name, "ARN": arn(p.Account, p.Region, p.Name), "Type": v.Type, "Version": v.Number, "LastModifiedDate": epoch(v.Modified),
		"LastModifiedUser": "arn:aws:iam::" + p.Account + ":root", "Tier": v.Tier, "DataType": v.DataType, "Policies": []any{}}
	for name, value := range map[string]string{"Description": v.Description, "KeyId": v.KeyID, "AllowedPattern": v.AllowedPattern} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

type historyInput struct {
	Name           string
	WithDecryption bool
	MaxResults     int
	NextToken      string
}

func (s *Service) getParameterHistory(r *api.Request, in *historyInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.parameters.Get(key(r.Account, r.Region, in.Name))
	if !ok {
		return nil, notFound(in.Name)
	}
	all := []any{}
	for i := range p.Versions {
		v := &p.Versions[i]
		entry := describe(p, v)
		delete(entry, "ARN")
		entry["Value"], entry["Labels"] = shown(p.Account, p.Region, p.Name, v, in.WithDecryption)["Value"], []string{}
		all = append(all, entry)
	}
	list, next, err := page(all, in.MaxResults, in.NextToken, 50)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Parameters": list, "NextToken": next}, nil
}

type nameInput struct{ Name string }

func (s *Service) deleteParameter(r *api.Request, in *nameInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := key(r.Account, r.Region, in.Name)
	if _, ok := s.parameters.Get(name); !ok {
		return nil, notFound(in.Name)
	}
	s.parameters.Delete(name)
	return map[string]any{}, nil
}

type namesInput struct{ Names []string }

func (s *Service) deleteParameters(r *api.Request, in *namesInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	deleted, invalid := []string{}, []string{}
	for _, one := range in.Names {
		name := key(r.Account, r.Region, one)
		if _, ok := s.parameters.Get(name); !ok {
			invalid = append(invalid, one)
			continue
		}
		s.parameters.Delete(name)
		deleted = append(deleted, one)
	}
	return map[string]any{"DeletedParameters": deleted, "InvalidParameters": invalid}, nil
}

type tagsInput struct {
	ResourceType, ResourceId string
	Tags                     []tag
	TagKeys                  []string
}

// tagged gives the parameter whose tags a call means; the lock is held.
func (s *Service) tagged(r *api.Request, in *tagsInput) (*parameter, error) {
	p, ok := s.parameters.Get(key(r.Account, r.Region, in.ResourceId))
	if in.ResourceType != "Parameter" || !ok {
		return nil, api.Errorf("InvalidResourceId", "there is no %s %s: this endpoint tags parameters", in.ResourceType, in.ResourceId)
	}
	return p, nil
}

func (s *Service) addTags(r *api.Request, in *tagsInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.tagged(r, in)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		p.Tags[t.Key] = t.Value
	}
	s.parameters.Put(key(r.Account, r.Region, p.Name), p)
	return map[string]any{}, nil
}

func (s *Service) removeTags(r *api.Request, in *tagsInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.tagged(r, in)
	if err != nil {
		return nil, err
	}
	for _, name := range in.TagKeys {
		delete(p.Tags, name)
	}
	s.parameters.Put(key(r.Account, r.Region, p.Name), p)
	return map[string]any{}, nil
}

func (s *Service) listTags(r *api.Request, in *tagsInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.tagged(r, in)
	if err != nil {
		return nil, err
	}
	list := []tag{}
	for _, name := range slices.Sorted(maps.Keys(p.Tags)) {
		list = append(list, tag{name, p.Tags[name]})
	}
	return map[string]any{"TagList": list}, nil
}
