package jobs

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// WorkerConfig is what a Worker is made of.
type WorkerConfig struct {
	Engine *Engine
	Queue  Queue
	// Slots is how many deliveries are carried at once. Default 64.
	Slots int
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// Worker receives messages and carries their deliveries, as many at once as it has slots.
//
// Each lane has a poller with a small buffer; free slots take from the buffers, most urgent lane first. What stands in a
// buffer is not begun: draining hands it back.
type Worker struct {
	WorkerConfig
	solo *semaphore.Weighted
	base context.Context // of deliveries: draining does not cancel it

	mu       sync.Mutex
	free     int
	turns    int
	ready    map[Lane][]*inHand
	helping  map[Lane]int  // helpers of the lane's poller
	behind   map[Lane]bool // the lane's last receive was full: more stands behind it
	asked    map[Lane]int  // the turn in which the lane was last polled
	held     map[*inHand]struct{}
	company  map[string]*company // events that wait for others, by the sort of their things
	changed  chan struct{}       // closed and replaced when room may have come
	draining bool
	work     sync.WaitGroup
}

// inHand is one message that this worker has received and not yet given back.
type inHand struct {
	Delivery
	cancel context.CancelFunc
	hold   *Hold
	since  time.Time // of the last extension

	settling bool          // no heartbeat begins any more
	beating  chan struct{} // closed when the heartbeat under way is over; nil: none is
}

// bufferSize is how many messages of a lane may wait in the worker for a slot: one batch.
const bufferSize = 10

// maxHelpers is how many polls of one lane may run beside its poller's.
const maxHelpers = 3

// gather is how long a lane that gave less than was asked for is left alone, so that messages that trickle in, events above
// all, come several a request: SQS answers a long poll with the first one that it has. It is shorter than what a shared look
// waits for others. The urgent lane is not left.
const gather = 30 * time.Millisecond

// share is how often another lane than the most urgent is served first, each of the others in turn, so that none starves:
// each eighth time.
const share = 8

// NewWorker makes a worker.
func NewWorker(config WorkerConfig) *Worker {
	if config.Slots <= 0 {
		config.Slots = 64
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	return &Worker{WorkerConfig: config, solo: semaphore.NewWeighted(int64(config.Slots)), free: config.Slots,
		ready: map[Lane][]*inHand{}, helping: map[Lane]int{},
		behind: map[Lane]bool{}, asked: map[Lane]int{}, held: map[*inHand]struct{}{}, company: map[string]*company{}, changed: make(chan struct{})}
}

// Run works until the context ends, then drains: the running polls and steps finish, what was not begun is handed back.
func (w *Worker) Run(ctx context.Context) {
	w.base = context.WithoutCancel(ctx)
	var pollers sync.WaitGroup
	for _, lane := range Lanes {
		pollers.Go(func() { w.poll(ctx, lane) })
	}
	beating, stop := context.WithCancel(w.base)
	var heart sync.WaitGroup
	heart.Go(func() { w.beat(beating) })
	<-ctx.Done()
	w.drain()
	pollers.Wait()
	w.work.Wait()
	stop()
	heart.Wait()
}

// Busy is how many deliveries are being carried.
func (w *Worker) Busy() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Slots - w.free
}

func (w *Worker) drain() {
	w.mu.Lock()
	w.draining = true
	var back []*inHand
	for _, lane := range Lanes {
		back = append(back, w.ready[lane]...)
		w.ready[lane] = nil
	}
	back = append(back, w.dismissLocked()...)
	w.mu.Unlock()
	w.signal()
	for _, h := range back {
		w.work.Go(func() { w.handBack(h) })
	}
}

// poll receives as many as there is room for. A running poll is never cancelled: that could strand what it was about to
// return until its visibility ends (aws-sdk-go-v2#2068).
func (w *Worker) poll(ctx context.Context, lane Lane) {
	failures := 0
	for {
		room := w.room(ctx, lane)
		if room == 0 {
			return
		}
		messages, err := w.Queue.Receive(w.base, lane, room, w.Engine.Times.Poll)
		if err != nil {
			failures++
			w.note(lane, false) // the others need not wait for it
			w.Log.Warn("cannot receive", "lane", lane, "error", err)
			select {
			case <-time.After(min(time.Second<<min(failures, 5), 30*time.Second)):
			case <-ctx.Done():
			}
			continue
		}
		failures = 0
		w.note(lane, len(messages) >= room)
		w.take(lane, messages)
		if len(messages) == bufferSize {
			w.callHelp(ctx, lane)
		}
		if n := len(messages); n > 0 && n < room && lane != LaneHigh {
			select { // what trickles in comes a few at a time
			case <-time.After(gather):
			case <-ctx.Done():
			}
		}
	}
}

// callHelp adds a helper to a lane that gave a full batch: one poll after the other would leave slots empty.
func (w *Worker) callHelp(ctx context.Context, lane Lane) {
	w.mu.Lock()
	enough := w.helping[lane] == maxHelpers
	if !enough {
		w.helping[lane]++
	}
	w.mu.Unlock()
	if !enough {
		w.work.Go(func() { w.help(ctx, lane) })
	}
}

// help receives beside the lane's poller, without waiting, while batches come full and slots are free.
func (w *Worker) help(ctx context.Context, lane Lane) {
	defer func() {
		w.mu.Lock()
		w.helping[lane]--
		w.mu.Unlock()
	}()
	for ctx.Err() == nil && w.spare(lane) >= bufferSize {
		messages, err := w.Queue.Receive(w.base, lane, bufferSize, 0)
		if err != nil {
			return // the poller meets the same error, tells it and waits
		}
		w.note(lane, len(messages) >= bufferSize)
		w.take(lane, messages)
		if len(messages) < bufferSize {
			return
		}
	}
}

// spare is how many slots are free for the lane beyond what is ready.
func (w *Worker) spare(lane Lane) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holdsBackLocked(lane) {
		return 0
	}
	spare := w.free
	for _, ready := range w.ready {
		spare -= len(ready)
	}
	return spare
}

// holdsBackLocked: more urgent lanes have more than this worker takes, so that nothing is received from this one but its
// share, which begins with the worker. Wakes go before new work: what is begun is finished before more is begun. An idle worker holds
// nothing back: the last receive from the urgent lane may have been full by chance, and its next one waits for as long as a poll may.
func (w *Worker) holdsBackLocked(lane Lane) bool {
	if asked, ever := w.asked[lane]; !ever || w.turns-asked >= share*(len(Lanes)-1)*bufferSize || w.idleLocked() {
		return false
	}
	return slices.ContainsFunc(Lanes[:slices.Index(Lanes, lane)], func(urgent Lane) bool { return w.behind[urgent] })
}

// idleLocked: nothing is carried, and nothing is there to be carried.
func (w *Worker) idleLocked() bool {
	for _, ready := range w.ready {
		if len(ready) > 0 {
			return false
		}
	}
	return w.free == w.Slots
}

// room waits until the lane's buffer is half empty and nothing holds it back; 0 means that the worker drains.
func (w *Worker) room(ctx context.Context, lane Lane) int {
	for {
		w.mu.Lock()
		room, changed := bufferSize-len(w.ready[lane]), w.changed
		if w.free == 0 && len(w.ready[lane]) > 0 {
			room = 0 // no slot to come soon: leave the rest to other workers
		}
		if room >= bufferSize/2 && w.holdsBackLocked(lane) {
			room = 0
		}
		if room >= bufferSize/2 {
			w.asked[lane] = w.turns
		}
		draining := w.draining
		w.mu.Unlock()
		if draining || ctx.Err() != nil {
			return 0
		}
		if room >= bufferSize/2 {
			return room
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0
		}
	}
}

// note remembers whether a receive from the lane was full, and lets the others go on where it no longer is.
func (w *Worker) note(lane Lane, full bool) {
	w.mu.Lock()
	caughtUp := w.behind[lane] && !full
	w.behind[lane] = full
	w.mu.Unlock()
	if caughtUp {
		w.signal()
	}
}

func (w *Worker) accept(lane Lane, messages []*inHand) {
	w.mu.Lock()
	draining := w.draining
	for _, h := range messages {
		if draining {
			w.work.Go(func() { w.handBack(h) })
			continue
		}
		w.held[h] = struct{}{}
		w.ready[lane] = append(w.ready[lane], h)
	}
	w.dispatchLocked()
	w.mu.Unlock()
}

// dispatchLocked gives free slots to what is ready.
func (w *Worker) dispatchLocked() {
	for w.free > 0 {
		h := w.nextLocked()
		if h == nil {
			return
		}
		w.free--
		w.work.Go(func() { w.serve(h) })
	}
}

// serve is a slot while there is something to carry. It keeps its stack, which calls through the SDK make deep.
func (w *Worker) serve(h *inHand) {
	for h != nil {
		h = w.carry(h)
	}
}

func (w *Worker) nextLocked() *inHand {
	w.turns++
	if w.turns%share == 0 {
		if h := w.popLocked(Lanes[1+w.turns/share%(len(Lanes)-1)]); h != nil {
			return h
		}
	}
	for _, lane := range Lanes {
		if h := w.popLocked(lane); h != nil {
			return h
		}
	}
	return nil
}

func (w *Worker) popLocked(lane Lane) *inHand {
	queue := w.ready[lane]
	if len(queue) == 0 {
		return nil
	}
	w.ready[lane] = queue[1:]
	return queue[0]
}

// carry carries one delivery and gives the next one for its slot.
func (w *Worker) carry(h *inHand) (next *inHand) {
	ctx, cancel := context.WithCancel(w.base)
	defer cancel()
	if err := w.solo.Acquire(ctx, 1); err != nil {
		return nil
	}
	weight := int64(1)
	h.Claimed = func(hold *Hold) {
		w.mu.Lock()
		h.hold, h.cancel = hold, cancel
		w.mu.Unlock()
	}
	h.Alone = func(ctx context.Context) (func(), error) {
		w.solo.Release(weight)
		weight = 0
		if err := w.solo.Acquire(ctx, int64(w.Slots)); err != nil {
			return nil, err
		}
		weight = int64(w.Slots)
		return func() {}, nil
	}
	outcome := w.Engine.Deliver(ctx, &h.Delivery)
	w.solo.Release(weight)
	w.mu.Lock()
	w.free++
	delete(w.held, h)
	if next = w.nextLocked(); next != nil {
		w.free--
	}
	w.mu.Unlock()
	w.signal()
	w.work.Go(func() { w.settle(h, outcome) })
	return next
}

// settle does to the message what its delivery came to. If that fails the message comes back, which does no harm.
func (w *Worker) settle(h *inHand, outcome Outcome) {
	w.endBeats(h)
	var err error
	if outcome.Reason != "" {
		w.Log.Warn("a message goes to the dead letters", "message", h.OriginalID, "reason", outcome.Reason)
		if err = w.Queue.DeadLetter(w.base, h.Received, outcome.Reason); err != nil {
			outcome = Outcome{Hide: w.Engine.Times.Visibility}
			w.Log.Warn("cannot send to the dead letters", "message", h.OriginalID, "error", err)
		}
	}
	if outcome.Delete {
		err = w.Queue.Delete(w.base, h.Received)
	} else {
		err = w.Queue.Hide(w.base, h.Received, outcome.Hide)
	}
	if err != nil {
		w.Log.Warn("cannot settle a message; it comes back", "message", h.ID, "error", err)
	}
}

func (w *Worker) handBack(h *inHand) {
	w.mu.Lock()
	delete(w.held, h)
	w.mu.Unlock()
	w.endBeats(h)
	if err := w.Queue.Hide(w.base, h.Received, 0); err != nil {
		w.Log.Warn("cannot hand a message back; it comes back by itself", "message", h.ID, "error", err)
	}
}

func (w *Worker) signal() {
	w.mu.Lock()
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
}
