package state

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatALockKeepsTogetherIsLoggedWhenItIsFree(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	servers, err := NewTable[int](store, "ec2-servers")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := NewTable[int](store, "ec2-tokens")
	if err != nil {
		t.Fatal(err)
	}
	others, err := NewTable[int](store, "sqs.messages")
	if err != nil {
		t.Fatal(err)
	}
	var lock RWMutex
	lock.Keep(store, "ec2")
	count := func() (kept, token, other int) {
		if err := store.Flush(); err != nil { // another call's, in the middle
			t.Fatal(err)
		}
		log, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.WriteFile(copied, log, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := Open(copied)
		if err != nil {
			t.Fatal(err)
		}
		kept, token, other = len(again.loaded["ec2-servers"]), len(again.loaded["ec2-tokens"]), len(again.loaded["sqs.messages"])
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		return kept, token, other
	}
	lock.Lock()
	servers.Put("a", 1)
	servers.Put("b", 2)
	others.Put("m", 1)
	if kept, _, other := count(); kept != 0 || other != 1 {
		t.Errorf("while the lock is held, %d servers and %d messages are in the log; want 0 and 1", kept, other)
	}
	servers.Delete("a")
	tokens.Put("t", 1)
	lock.Unlock()
	if kept, token, _ := count(); kept != 1 || token != 1 {
		t.Errorf("after it, %d servers and %d tokens are; want 1 and 1", kept, token)
	}
	lock.Lock()
	servers.Put("c", 3)
	lock.Unlock()
	if kept, _, _ := count(); kept != 2 {
		t.Errorf("after one change alone, %d servers are; want 2", kept)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
