// Reads a compose file as Docker Compose does, with its own loader: schema, types, and that what is
// named is there. Prints the result as YAML, or why there is none.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func load(paths []string) ([]byte, error) {
	options, err := cli.NewProjectOptions(paths)
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalYAML()
}

func main() {
	text, err := load(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(string(text))
}
