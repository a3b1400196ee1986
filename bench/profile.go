package main

import (
	"errors"
	"os"
	"runtime/pprof"
)

// profile writes a CPU profile of this process to the file that BENCH_PROFILE names, if it does: a measure in virtual time has
// the endpoint, the workers and the SDK in it. The function that it gives ends the profile.
func profile() (end func() error, err error) {
	path := os.Getenv("BENCH_PROFILE")
	if path == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}
