// Command mutants shows that the checks can fail: it puts small bugs into the code, one at a time, and each must make a test
// fail.
//
//	go run ./mutants [-run regexp] [-list] [-quick]
//
// A mutant is data: what it breaks, which text becomes which, and the tests that should notice. The text must stand in its
// file exactly once, so that a mutant cannot rot: code that changes under it is an error here and in this package's tests.
// `go test -overlay` compiles the changed copy in place of the file, so that neither the tree nor any binary ever has it.
//
// A mutant is caught if a test fails. One that does not compile, or that ends its tests by a panic or their time limit, shows
// nothing and counts as broken; one whose tests pass has survived, which means that a check is missing. Before all that the
// same tests must pass on the code as it is.
package main
