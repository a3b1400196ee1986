// Package state keeps the embedded endpoint's state: named tables of records, each change of which is appended to a log
// before the answer that it belongs to goes out, so that a killed endpoint comes back as it was.
//
// A Store without a path keeps the tables in memory only and never encodes a record.
package state

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Store is a set of tables with one log behind them.
type Store struct {
	mu     sync.Mutex
	path   string
	file   *os.File
	buffer *bufio.Writer
	err    error
	loaded map[string]map[string]json.RawMessage
	tables map[string]func(emit func(entry) error) error
	acts   map[string]*act // by service, while its lock is held
}

type entry struct {
	Table string          `json:"t"`
	Key   string          `json:"k"`
	Value json.RawMessage `json:"v,omitempty"` // none: deleted
}

// Open reads the log at path, which need not exist; with an empty path nothing is kept. A last line that was cut by a
// kill is dropped: its answer never went out. The tables read their records when NewTable names them; the log is
// rewritten without its history at the first Compact.
func Open(path string) (*Store, error) {
	s := &Store{path: path, tables: map[string]func(func(entry) error) error{}, acts: map[string]*act{}}
	if path == "" {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s.file, s.loaded = file, map[string]map[string]json.RawMessage{}
	whole, err := s.read()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := file.Truncate(whole); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.Seek(whole, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	s.buffer = bufio.NewWriterSize(file, 1<<16)
	return s, nil
}

// Flush hands what has changed to the operating system: a kill of this process loses nothing that was flushed.
func (s *Store) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buffer == nil {
		return nil
	}
	if s.err == nil {
		s.err = s.buffer.Flush()
	}
	return s.err
}

// Compact rewrites the log as one line a living record. Call it before anything is served: it takes each table's
// records while no one changes them.
func (s *Store) Compact() error {
	if s.file == nil {
		return nil
	}
	temporary, err := os.OpenFile(s.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(temporary, 1<<16)
	encoder := json.NewEncoder(buffer)
	for _, dump := range s.tables {
		if err := dump(func(e entry) error { return encoder.Encode(e) }); err != nil {
			return errors.Join(err, temporary.Close())
		}
	}
	if err := errors.Join(buffer.Flush(), temporary.Sync(), os.Rename(s.path+".new", s.path)); err != nil {
		return errors.Join(err, temporary.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.file
	s.file, s.buffer, s.loaded = temporary, bufio.NewWriterSize(temporary, 1<<16), nil
	return old.Close()
}

// Close flushes and closes the log.
func (s *Store) Close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.Flush(), s.file.Close())
}

func (s *Store) read() (int64, error) {
	reader := bufio.NewReaderSize(s.file, 1<<20)
	var whole int64
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return 0, err
		}
		var one entry
		all := []entry{}
		if line[0] == '[' { // what one act changed
			err = json.Unmarshal(line, &all)
		} else if err = json.Unmarshal(line, &one); err == nil {
			all = append(all, one)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: line %d is not a record of this endpoint (%w); move the file away to start empty", s.path, number, err)
		}
		whole += int64(len(line))
		for _, e := range all {
			s.load(e)
		}
	}
}

func (s *Store) load(e entry) {
	table := s.loaded[e.Table]
	if table == nil {
		table = map[string]json.RawMessage{}
		s.loaded[e.Table] = table
	}
	if e.Value == nil {
		delete(table, e.Key)
	} else {
		table[e.Key] = e.Value
	}
}

func (s *Store) append(table, key string, value any) {
	if s.file == nil {
		return
	}
	e := entry{Table: table, Key: key}
	if value != nil {
		encoded, err := json.Marshal(value)
		if err != nil {
			panic(fmt.Sprintf("state: a record of table %s cannot be encoded: %v", table, err))
		}
		e.Value = encoded
	}
	line, err := json.Marshal(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	if a := s.acts[serviceOf(table)]; a != nil {
		a.lines = append(a.lines, line)
		return
	}
	if s.err == nil {
		_, s.err = s.buffer.Write(append(line, '\n'))
	}
}

// Table holds the records of one sort by key. It is not safe for concurrent use: the service that owns it has a lock.
// A record that was got is changed only by putting it again.
type Table[T any] struct {
	store   *Store
	name    string
	records map[string]T
}

// NewTable makes the table and fills it with what the log held for it. T must survive encoding/json if the store has a path.
func NewTable[T any](s *Store, name string) (*Table[T], error) {
	t := &Table[T]{store: s, name: name, records: map[string]T{}}
	for key, raw := range s.loaded[name] {
		var record T
		if err := json.Unmarshal(raw, &record); err != nil {
			return nil, fmt.Errorf("%s: record %q of table %s: %w", s.path, key, name, err)
		}
		t.records[key] = record
	}
	s.tables[name] = func(emit func(entry) error) error {
		for key, record := range t.records {
			encoded, err := json.Marshal(record)
			if err != nil {
				return err
			}
			if err := emit(entry{Table: name, Key: key, Value: encoded}); err != nil {
				return err
			}
		}
		return nil
	}
	return t, nil
}

// Get returns the record at key.
func (t *Table[T]) Get(key string) (T, bool) {
	record, ok := t.records[key]
	return record, ok
}

// Put stores the record and logs it.
func (t *Table[T]) Put(key string, record T) {
	t.records[key] = record
	t.store.append(t.name, key, record)
}

// Delete removes the record; a key that is not there is no error.
func (t *Table[T]) Delete(key string) {
	if _, ok := t.records[key]; !ok {
		return
	}
	delete(t.records, key)
	t.store.append(t.name, key, nil)
}

// Len is the number of records.
func (t *Table[T]) Len() int { return len(t.records) }

// All yields the records in the order of their keys.
func (t *Table[T]) All() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		keys := make([]string, 0, len(t.records))
		for key := range t.records {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if !yield(key, t.records[key]) {
				return
			}
		}
	}
}
