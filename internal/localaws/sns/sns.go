// Package sns is the embedded endpoint's SNS: standard topics, and what is published to them. Nobody is subscribed: what was
// published is kept, the last thousand messages, for whoever looks.
package sns

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

var protocol = api.QueryProtocol{Namespace: "http://sns.amazonaws.com/doc/2010-03-31/"}

// Service is SNS.
type Service struct {
	env    *api.Env
	mu     sync.Mutex
	topics *state.Table[topic] // by ARN
	// published are the last messages; they are not kept over a restart.
	published []Message
}

type topic struct{ ARN string }

// Message is one that was published.
type Message struct {
	ID, Topic, Subject, Text string
	Attributes               map[string]string
	At                       time.Time
}

const (
	keptMessages = 1000
	maxMessage   = 256 << 10
	maxSubject   = 100
)

// New reads the topics.
func New(env *api.Env) (*Service, error) {
	topics, err := state.NewTable[topic](env.Store, "sns.topics")
	if err != nil {
		return nil, err
	}
	return &Service{env: env, topics: topics}, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "sns" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	api.Actions{Service: "SNS", Protocol: protocol, Lock: &s.mu, Of: map[string]func(*api.Request) (any, error){
		"CreateTopic": s.create, "DeleteTopic": s.delete, "Publish": s.publish,
	}}.Serve(w, r)
}

// Published are the last messages, the oldest first.
func (s *Service) Published() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.published)
}

var (
	topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
	topicARN  = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}$`)
)

func invalid(format string, args ...any) error {
	return api.Errorf("InvalidParameter", "Invalid parameter: "+format, args...)
}

func (s *Service) create(r *api.Request) (any, error) {
	var in struct {
		Name string `query:"Name"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	if !topicName.MatchString(in.Name) {
		return nil, invalid("Topic Name")
	}
	arn := "arn:aws:sns:" + r.Region + ":" + r.Account + ":" + in.Name
	s.topics.Put(arn, topic{ARN: arn})
	return struct{ TopicArn string }{arn}, nil
}

func (s *Service) delete(r *api.Request) (any, error) {
	var in struct {
		TopicArn string `query:"TopicArn"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	if !topicARN.MatchString(in.TopicArn) {
		return nil, invalid("TopicArn Reason: An ARN must have at least 6 elements, not %d", len(strings.Split(in.TopicArn, ":")))
	}
	s.topics.Delete(in.TopicArn)
	return struct{}{}, nil
}

func (s *Service) publish(r *api.Request) (any, error) {
	var in struct {
		TopicArn   string  `query:"TopicArn"`
		Subject    *string `query:"Subject"`
		Message    string  `query:"Message"`
		Attributes []struct {
			Name  string `query:"Name"`
			Value struct {
				DataType    string `query:"DataType"`
				StringValue string `query:"StringValue"`
			} `query:"Value"`
		} `query:"MessageAttributes.entry"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	size := len(in.Message)
	attributes := map[string]string{}
	for _, a := range in.Attributes {
		if a.Name == "" || a.Value.DataType == "" || a.Value.StringValue == "" {
			return nil, api.Errorf("ParameterValueInvalid", "The message attribute '%s' must contain non-empty message attribute type and value.", a.Name)
		}
		attributes[a.Name] = a.Value.StringValue
		size += len(a.Name) + len(a.Value.DataType) + len(a.Value.StringValue)
	}
	switch {
	case !topicARN.MatchString(in.TopicArn):
		return nil, invalid("TopicArn or TargetArn Reason: no value for required parameter")
	case in.Message == "":
		return nil, invalid("Empty message")
	case size > maxMessage:
		return nil, invalid("Message too long")
	case in.Subject != nil && (*in.Subject == "" || len(*in.Subject) > maxSubject || strings.ContainsFunc(*in.Subject, func(c rune) bool { return c < ' ' || c > '~' })):
		return nil, invalid("Subject")
	}
	part := strings.Split(in.TopicArn, ":")
	if _, known := s.topics.Get(in.TopicArn); !known || part[3] != r.Region {
		return nil, &api.Error{Code: "NotFound", Status: http.StatusNotFound, Message: "Topic does not exist"}
	}
	m := Message{ID: api.UUID(s.env.Rand("sns", "publish", in.TopicArn)), Topic: in.TopicArn, Text: in.Message, Attributes: attributes, At: time.Now()}
	if in.Subject != nil {
		m.Subject = *in.Subject
	}
	s.published = append(s.published, m)
	s.published = s.published[max(0, len(s.published)-keptMessages):]
	return struct {
		MessageID string `xml:"MessageId"`
	}{m.ID}, nil
}
