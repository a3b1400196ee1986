package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestTheFirstLineIsTheURLAndTheEndCleans(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--state", t.TempDir() + "/state"}, writer, io.Discard)
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(strings.TrimSpace(line) + "/_localaws/health")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", answer, err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(strings.TrimSpace(line) + "/_localaws/health"); err == nil {
		t.Fatal("it still answers")
	}
}

func TestOtherMachinesAreLetInOnlyOnRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address string
		public  bool
		ok      bool
	}{
		{"127.0.0.1:0", false, true}, {"localhost:4567", false, true}, {"[::1]:0", false, true},
		{"0.0.0.0:0", false, false}, {":4567", false, false}, {"10.0.0.1:80", false, false}, {"nonsense", false, false},
		{"0.0.0.0:0", true, true},
	} {
		if err := checkLoopback(c.address, c.public); err == nil != c.ok {
			t.Errorf("%s, public %t: %v", c.address, c.public, err)
		}
	}
}

func TestHelpExplainsEveryFlag(t *testing.T) {
	t.Parallel()
	var help bytes.Buffer
	if _, err := parse([]string{"--help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, name := range []string{"--listen", "--listen-public", "--state", "--speed", "--seed", "--buckets", "--host-management"} {
		if !strings.Contains(help.String(), "\n  "+name) {
			t.Errorf("%s is not explained", name)
		}
	}
	if _, err := parse([]string{"--nonsense"}, io.Discard); !errors.Is(err, errUsage) {
		t.Fatalf("got %v", err)
	}
}
