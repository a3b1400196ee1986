package jobs

import "fmt"

// Count is a number of things in words: 1 server, 2 servers, 1 child, 2 children.
func Count(n int, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case thing == "child":
		return fmt.Sprintf("%d children", n)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
