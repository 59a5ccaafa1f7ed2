// An image registry that keeps what it gets on disk: the distribution project's own, without the
// drivers for clouds' storage, which are most of what its own command is made of.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if registry.RootCmd.Execute() != nil {
		os.Exit(1)
	}
}
