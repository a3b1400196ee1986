package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/stampmill/stampmill/internal/stage"
)

// worker is a worker's process and the claims that its log tells of.
type worker struct {
	*stage.Process
	mu     sync.Mutex
	claims map[string]claim // by delivery
}

// claim is what a worker logs when it has claimed a job.
type claim struct {
	Message  string `json:"msg"`
	Job      string `json:"job"`
	Step     string `json:"step"`
	Fence    int64  `json:"fence"`
	Delivery string `json:"delivery"`
}

// work starts a worker.
func (s *show) work(number int) error {
	w := &worker{claims: map[string]claim{}}
	environment := append(slices.Clip(s.Environment),
		"STAMPMILL_LEASE="+lease, "STAMPMILL_VISIBILITY="+visibility, "STAMPMILL_POLL=2s", "STAMPMILL_SWEEP_INTERVAL=2s",
		"STAMPMILL_PACE="+speed, "STAMPMILL_HEALTH=", "STAMPMILL_LOG_LEVEL=debug", "STAMPMILL_LOG_FORMAT=json")
	var err error
	w.Process, err = s.Processes.Start("worker-"+strconv.Itoa(number), s.Folder, environment, nil, w.read, s.Binary("stampmill-worker"))
	if err != nil {
		return fmt.Errorf("start worker %d: %w", number, err)
	}
	s.workers = append(s.workers, w)
	return nil
}

func (w *worker) read(line string) {
	var c claim
	if json.Unmarshal([]byte(line), &c) != nil || c.Message != "claimed" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claims[c.Delivery] = c
}

// claimed is the claim that the worker told of for a delivery.
func (w *worker) claimed(delivery string) (claim, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.claims[delivery]
	return c, ok
}
