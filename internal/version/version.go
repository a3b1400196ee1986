// Package version says which Stampmill this is.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Number is set by the linker for releases: -X …/internal/version.Number=1.2.3.
var Number = "dev"

// String is the version for people: number, commit if the build knows it, Go version and platform.
func String() string {
	commit := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				commit = " (" + s.Value[:12] + ")"
			}
		}
	}
	return fmt.Sprintf("stampmill %s%s, %s %s/%s", Number, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
