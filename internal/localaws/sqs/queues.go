package sqs

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// recently is how long a deleted queue's name cannot be used again, and how far purges must be apart.
const recently = 60 * time.Second

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// actions are the calls that this endpoint serves.
var actions map[string]func(*Service, *api.Request) (any, error)

func init() {
	actions = map[string]func(*Service, *api.Request) (any, error){
		"CreateQueue": createQueue, "GetQueueUrl": getQueueURL, "ListQueues": listQueues, "DeleteQueue": deleteQueue, "PurgeQueue": purgeQueue,
		"GetQueueAttributes": getQueueAttributes, "SetQueueAttributes": setQueueAttributes,
		"TagQueue": tagQueue, "UntagQueue": untagQueue, "ListQueueTags": listQueueTags, "ListDeadLetterSourceQueues": listSources,
		"SendMessage": sendMessage, "SendMessageBatch": sendMessageBatch, "ReceiveMessage": receiveMessage,
		"DeleteMessage": deleteMessage, "DeleteMessageBatch": deleteMessageBatch,
		"ChangeMessageVisibility": changeVisibility, "ChangeMessageVisibilityBatch": changeVisibilityBatch,
		"StartMessageMoveTask": startMove, "ListMessageMoveTasks": listMoves, "CancelMessageMoveTask": cancelMove,
	}
}

type nameValue struct {
	Name  string `query:"Name" xml:"Name"`
	Value string `query:"Value" xml:"Value"`
}

type keyValue struct {
	Key   string `query:"Key" xml:"Key"`
	Value string `query:"Value" xml:"Value"`
}

// queueInput is the part that nearly all calls have.
type queueInput struct {
	QueueURL string `json:"QueueUrl" query:"QueueUrl"`
}

// find is the queue that a queue URL names. Its last two parts count: the host may be any name of this endpoint.
func (s *Service) find(r *api.Request, queueURL string) (*queue, error) {
	if queueURL == "" {
		return nil, missing("QueueUrl")
	}
	parts := strings.Split(strings.TrimRight(queueURL, "/"), "/")
	if len(parts) >= 2 {
		if q := s.queues[parts[len(parts)-2]+"/"+r.Region+"/"+parts[len(parts)-1]]; q != nil {
			return q, nil
		}
	}
	return nil, api.Errorf("QueueDoesNotExist", "The specified queue %s does not exist in region %s.", queueURL, r.Region)
}

func (s *Service) url(q *queue) string {
	return strings.TrimRight(s.env.URL(), "/") + "/" + q.Account + "/" + q.Name
}

type queueURLResult struct {
	QueueURL string `json:"QueueUrl" xml:"QueueUrl"`
}

func createQueue(s *Service, r *api.Request) (any, error) {
	var in struct {
		QueueName     string            `query:"QueueName"`
		Attributes    map[string]string `json:"Attributes"`
		Tags          map[string]string `json:"tags"`
		AttributeList []nameValue       `json:"-" query:"Attribute"`
		TagList       []keyValue        `json:"-" query:"Tag"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	given := merge(in.Attributes, attributeMap(in.AttributeList))
	if strings.HasSuffix(in.QueueName, ".fifo") {
		return nil, invalid("%s: this endpoint serves standard queues only; a standard queue's name does not end in .fifo.", in.QueueName)
	}
	if !queueName.MatchString(in.QueueName) {
		return nil, invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length; got %q.", in.QueueName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkAttributes(given); err != nil {
		return nil, err
	}
	now := time.Now()
	stored := &settings{Account: r.Account, Region: r.Region, Name: in.QueueName, Attributes: given, Tags: merge(in.Tags, tagMap(in.TagList)), Created: now, Modified: now}
	if q := s.queues[stored.key()]; q != nil {
		for name, value := range given {
			if cmp.Or(q.Attributes[name], defaults[name]) != value {
				return nil, api.Errorf("QueueNameExists", "A queue already exists with the same name and a different value for attribute %s.", name)
			}
		}
		return queueURLResult{s.url(q)}, nil
	}
	if at, ok := s.deleted[stored.key()]; ok && now.Sub(at) < recently {
		return nil, api.Errorf("QueueDeletedRecently", "You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	q := newQueue(s, stored)
	s.queues[stored.key()] = q
	s.settings.Put(stored.key(), stored)
	return queueURLResult{s.url(q)}, nil
}

func getQueueURL(s *Service, r *api.Request) (any, error) {
	var in struct {
		QueueName              string `query:"QueueName"`
		QueueOwnerAWSAccountID string `json:"QueueOwnerAWSAccountId" query:"QueueOwnerAWSAccountId"`
		// QueueURL is set by decode for the query protocol when the path is not empty.
		QueueURL string `json:"-" query:"QueueUrl"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[cmp.Or(in.QueueOwnerAWSAccountID, r.Account)+"/"+r.Region+"/"+in.QueueName]
	if q == nil {
		return nil, api.Errorf("QueueDoesNotExist", "The specified queue %s does not exist in region %s.", in.QueueName, r.Region)
	}
	return queueURLResult{s.url(q)}, nil
}

type urlsResult struct {
	QueueURLs []string `json:"QueueUrls" xml:"QueueUrl"`
	NextToken string   `json:"NextToken,omitempty" xml:"NextToken,omitempty"`
}

func listQueues(s *Service, r *api.Request) (any, error) {
	var in struct {
		QueueNamePrefix string `query:"QueueNamePrefix"`
		MaxResults      int    `query:"MaxResults"`
		NextToken       string `query:"NextToken"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.MaxResults < 0 || in.MaxResults > 1000 {
		return nil, invalid("Value %d for parameter MaxResults is invalid. Reason: must be between 1 and 1000.", in.MaxResults)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix := r.Account + "/" + r.Region + "/"
	result := urlsResult{QueueURLs: []string{}}
	for _, key := range slices.Sorted(maps.Keys(s.queues)) {
		name, mine := strings.CutPrefix(key, prefix)
		if !mine || !strings.HasPrefix(name, in.QueueNamePrefix) || name <= in.NextToken {
			continue
		}
		if len(result.QueueURLs) == cmp.Or(in.MaxResults, 1000) {
			if in.MaxResults > 0 {
				last := result.QueueURLs[len(result.QueueURLs)-1]
				result.NextToken = last[strings.LastIndex(last, "/")+1:]
			}
			break
		}
		result.QueueURLs = append(result.QueueURLs, s.url(s.queues[key]))
	}
	return result, nil
}

func listSources(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		MaxResults int    `query:"MaxResults"`
		NextToken  string `query:"NextToken"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	target, err := s.find(r, in.QueueURL)
	if err != nil {
		return nil, err
	}
	var result struct {
		QueueURLs []string `json:"queueUrls" xml:"QueueUrl"`
	}
	result.QueueURLs = []string{}
	for _, key := range slices.Sorted(maps.Keys(s.queues)) {
		if policy := s.queues[key].limits.redrive; policy != nil && policy.DeadLetterTargetARN == target.arn() {
			result.QueueURLs = append(result.QueueURLs, s.url(s.queues[key]))
		}
	}
	return result, nil
}

func deleteQueue(s *Service, r *api.Request) (any, error) {
	q, err := s.decodeQueue(r)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	q.clear()
	delete(s.queues, q.key())
	s.settings.Delete(q.key())
	s.deleted[q.key()] = time.Now()
	q.wakeAll()
	return nil, nil
}

func purgeQueue(s *Service, r *api.Request) (any, error) {
	q, err := s.decodeQueue(r)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(q.Purged) < recently {
		return nil, api.Errorf("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.Name)
	}
	q.clear()
	q.Purged = time.Now()
	s.settings.Put(q.key(), q.settings)
	return nil, nil
}

// decodeQueue reads a call that names a queue and nothing else. Without an error the service is locked.
func (s *Service) decodeQueue(r *api.Request) (*queue, error) {
	var in queueInput
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		s.mu.Unlock()
	}
	return q, err
}

// clear drops all messages.
func (q *queue) clear() {
	for _, g := range q.groups {
		for g.line.first != nil {
			q.drop(g.line.first.value)
		}
	}
	for len(q.hidden) > 0 {
		q.drop(q.hidden[0])
	}
}

func attributeMap(list []nameValue) map[string]string {
	all := make(map[string]string, len(list))
	for _, a := range list {
		all[a.Name] = a.Value
	}
	return all
}

func tagMap(list []keyValue) map[string]string {
	all := make(map[string]string, len(list))
	for _, t := range list {
		all[t.Key] = t.Value
	}
	return all
}
