package sqs

import (
	"encoding/base64"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// moveTask is a redrive out of a dead-letter queue. Moved messages get new ids, as on AWS.
type moveTask struct {
	handle, source, destination string // ARNs; no destination: back to where each came from
	rate                        int    // messages a second; 0 is as fast as possible
	status                      string
	moved, toMove               int64
	reason                      string
	started                     time.Time
}

func startMove(s *Service, r *api.Request) (any, error) {
	var in struct {
		SourceARN      string `json:"SourceArn" query:"SourceArn"`
		DestinationARN string `json:"DestinationArn" query:"DestinationArn"`
		MaxPerSecond   *int   `json:"MaxNumberOfMessagesPerSecond" query:"MaxNumberOfMessagesPerSecond"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	source := s.byARN(in.SourceARN)
	if source == nil {
		return nil, api.Errorf("ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	if in.DestinationARN != "" && s.byARN(in.DestinationARN) == nil {
		return nil, api.Errorf("ResourceNotFoundException", "The resource that you specified for the DestinationArn parameter doesn't exist.")
	}
	if !s.isDeadLetterQueue(source) {
		return nil, invalid("Source queue must be configured as a Dead Letter Queue.")
	}
	if in.MaxPerSecond != nil && (*in.MaxPerSecond < 1 || *in.MaxPerSecond > 500) {
		return nil, invalid("Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: You must enter a value from 1 to 500.")
	}
	for _, task := range s.moves {
		if task.source == in.SourceARN && task.status == "RUNNING" {
			return nil, api.Errorf("UnsupportedOperation", "There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
		}
	}
	now := time.Now()
	source.settle(now)
	handle := base64.StdEncoding.EncodeToString([]byte(s.messageID("move", in.SourceARN, now)))
	task := &moveTask{handle: handle, source: in.SourceARN, destination: in.DestinationARN, status: "RUNNING", toMove: int64(source.visible), started: now}
	if in.MaxPerSecond != nil {
		task.rate = *in.MaxPerSecond
	}
	s.moves[handle] = task
	if task.rate == 0 {
		for s.moveOne(task) {
		}
	} else {
		s.movers.Go(func() { s.runMove(task) })
	}
	return struct {
		TaskHandle string `xml:"TaskHandle"`
	}{handle}, nil
}

func (s *Service) isDeadLetterQueue(q *queue) bool {
	for _, other := range s.queues {
		if policy := other.limits.redrive; policy != nil && policy.DeadLetterTargetARN == q.arn() {
			return true
		}
	}
	return false
}

// runMove moves at the task's rate.
func (s *Service) runMove(task *moveTask) {
	ticker := time.NewTicker(time.Second / time.Duration(task.rate))
	defer ticker.Stop()
	for {
		s.mu.Lock()
		more := s.moveOne(task)
		s.mu.Unlock()
		if !more {
			return
		}
		select {
		case <-ticker.C:
		case <-s.closed:
			return
		}
	}
}

// moveOne moves a message; it is false when the task has ended.
func (s *Service) moveOne(task *moveTask) bool {
	if task.status != "RUNNING" {
		task.status = "CANCELLED"
		return false
	}
	now := time.Now()
	source := s.byARN(task.source)
	if source == nil {
		task.status, task.reason = "FAILED", "AWS.SimpleQueueService.NonExistentQueue"
		return false
	}
	source.settle(now)
	m := source.next(now)
	if m == nil {
		task.status = "COMPLETED"
		return false
	}
	target := s.byARN(task.destination)
	if task.destination == "" {
		target = s.queues[m.Source]
	}
	if target == nil {
		source.show(m)
		task.status, task.reason = "FAILED", "CouldNotDetermineMessageSource"
		return false
	}
	s.messages.Delete(m.key())
	s.deliveries.Delete(m.key())
	none := 0
	target.send(&sendInput{MessageBody: m.Body, MessageAttributes: m.Attributes, MessageSystemAttributes: m.System, MessageGroupID: m.Group, DelaySeconds: &none}, m.Sender, now)
	task.moved++
	return true
}

type moveResult struct {
	TaskHandle     string `json:",omitempty" xml:"TaskHandle,omitempty"`
	Status         string `xml:"Status"`
	SourceARN      string `json:"SourceArn" xml:"SourceArn"`
	DestinationARN string `json:"DestinationArn,omitempty" xml:"DestinationArn,omitempty"`
	MaxPerSecond   *int   `json:"MaxNumberOfMessagesPerSecond,omitempty" xml:"MaxNumberOfMessagesPerSecond,omitempty"`
	Moved          int64  `json:"ApproximateNumberOfMessagesMoved" xml:"ApproximateNumberOfMessagesMoved"`
	ToMove         int64  `json:"ApproximateNumberOfMessagesToMove" xml:"ApproximateNumberOfMessagesToMove"`
	FailureReason  string `json:",omitempty" xml:"FailureReason,omitempty"`
	Started        int64  `json:"StartedTimestamp" xml:"StartedTimestamp"`
}

func listMoves(s *Service, r *api.Request) (any, error) {
	var in struct {
		SourceARN  string `json:"SourceArn" query:"SourceArn"`
		MaxResults *int   `query:"MaxResults"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	most := 1
	if in.MaxResults != nil {
		most = *in.MaxResults
	}
	if most < 1 || most > 10 {
		return nil, invalid("Value for parameter MaxResults is invalid. Reason: must be between 1 and 10.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byARN(in.SourceARN) == nil {
		return nil, api.Errorf("ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	var tasks []*moveTask
	for _, task := range s.moves {
		if task.source == in.SourceARN {
			tasks = append(tasks, task)
		}
	}
	slices.SortFunc(tasks, func(a, b *moveTask) int { return b.started.Compare(a.started) })
	var result struct {
		Results []moveResult `xml:"ListMessageMoveTasksResultEntry"`
	}
	for _, task := range tasks[:min(most, len(tasks))] {
		entry := moveResult{Status: task.status, SourceARN: task.source, DestinationARN: task.destination, Moved: task.moved, ToMove: task.toMove, FailureReason: task.reason, Started: task.started.UnixMilli()}
		if task.status == "RUNNING" {
			entry.TaskHandle = task.handle
		}
		if task.rate > 0 {
			entry.MaxPerSecond = &task.rate
		}
		result.Results = append(result.Results, entry)
	}
	return result, nil
}

func cancelMove(s *Service, r *api.Request) (any, error) {
	var in struct {
		TaskHandle string `query:"TaskHandle"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	task := s.moves[in.TaskHandle]
	if task == nil || task.status != "RUNNING" {
		return nil, api.Errorf("ResourceNotFoundException", "There is no running task with this handle.")
	}
	task.status = "CANCELLING"
	return struct {
		Moved int64 `json:"ApproximateNumberOfMessagesMoved" xml:"ApproximateNumberOfMessagesMoved"`
	}{task.moved}, nil
}
