package dynamodb

// Change is one item's change. Old is nil for a new item, New for one that is gone.
type Change struct {
	Table    string
	By       string // access key id of who wrote; empty: the item expired
	Old, New Item
}

// OnChange calls f with each change of an item, in their order, under the service's lock: f must not call the service.
func (s *Service) OnChange(f func(Change)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, f)
}

func (s *Service) tell(by string, t *table, old, new *row) {
	if len(s.watchers) == 0 {
		return
	}
	change := Change{Table: t.Name, By: by}
	if old != nil {
		change.Old = old.item
	}
	if new != nil {
		change.New = new.item
	}
	for _, watcher := range s.watchers {
		watcher(change)
	}
}
