package dynamodb

import (
	"encoding/binary"
	"time"
)

// expiry names an item that is to be removed.
type expiry struct{ table, place string }

// AWS takes a time that lies further back than this for a mistake.
const oldestExpiry = 5 * 365 * 24 * time.Hour

// expiresAt is the time in the item's TTL attribute.
func (t *table) expiresAt(r *row) (time.Time, bool) {
	if r == nil || t.ExpiryAttribute == "" {
		return time.Time{}, false
	}
	number, ok := r.item[t.ExpiryAttribute].(Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, ok := number.Int64()
	if !ok || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	at := time.Unix(seconds, 0)
	return at, time.Since(at) < oldestExpiry
}

func expiryPlace(at time.Time, e expiry) string {
	place := binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))
	return string(place) + e.table + "\x00" + e.place
}

// noteExpiry keeps the order of expiries when a row takes another one's place.
func (s *Service) noteExpiry(t *table, old, new *row) {
	if t.ExpiryAttribute == "" {
		return
	}
	before, had := t.expiresAt(old)
	after, has := t.expiresAt(new)
	if had && has && before.Equal(after) {
		return
	}
	if had {
		e := expiry{table: t.id(), place: old.place}
		s.expiries.Delete(expiryPlace(before, e))
	}
	if has {
		e := expiry{table: t.id(), place: new.place}
		s.expiries.Set(expiryPlace(after, e), e)
		s.armSweep()
	}
}

// noteAllExpiries does it for a table whose TTL attribute is about to change or has changed.
func (s *Service) noteAllExpiries(t *table, add bool) {
	t.rows.Scan(func(_ string, r *row) bool {
		if add {
			s.noteExpiry(t, nil, r)
		} else {
			s.noteExpiry(t, r, nil)
		}
		return true
	})
}

// armSweep sets the timer for the first expiry. The lock is held.
func (s *Service) armSweep() {
	first, _, ok := s.expiries.Min()
	if !ok || !s.started || s.closed {
		return
	}
	due := time.Unix(int64(binary.BigEndian.Uint64([]byte(first))), 0).Add(s.Delays.Expiry)
	if s.sweep != nil {
		if !due.Before(s.due) || !s.sweep.Stop() {
			return
		}
		s.sweeping.Done()
	}
	s.due = due
	s.sweeping.Add(1)
	s.sweep = time.AfterFunc(max(0, time.Until(due)), s.removeExpired)
}

// removeExpired removes what is due and sets the timer anew.
func (s *Service) removeExpired() {
	defer s.sweeping.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.sweep = nil
	latest := time.Now().Add(-s.Delays.Expiry)
	due := map[string]expiry{}
	s.expiries.Scan(func(place string, e expiry) bool {
		at := time.Unix(int64(binary.BigEndian.Uint64([]byte(place))), 0)
		if at.After(latest) {
			return false
		}
		due[place] = e
		return true
	})
	for place, e := range due {
		s.expiries.Delete(place)
		if t := s.tables[e.table]; t != nil {
			if r := t.at(e.place); r != nil {
				s.store("", t, r, nil)
			}
		}
	}
	s.armSweep()
}
