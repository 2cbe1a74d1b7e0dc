package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/leda-autoscaler/leda/scaling"
)

const completionHelp = `leda completion bash|zsh|fish: a script that completes verbs, flags, files and targets in your shell

  source <(leda completion bash)
  source <(leda completion zsh)
  leda completion fish | source

Targets are those of the folder scaledobjects.

`

// The scripts ask `leda completion words` what may come next, so that they never fall behind.
var (
	//go:embed completion/leda.bash
	bashScript string
	//go:embed completion/leda.zsh
	zshScript string
	//go:embed completion/leda.fish
	fishScript string
)

func (c console) completion(_ context.Context, args []string) int {
	if len(args) > 0 && args[0] == "words" {
		for _, word := range c.words(args[1:]) {
			fmt.Fprintln(c.out, word)
		}
		return exitFine
	}
	rest, code, ok := parseFlags(c.verbFlags("completion", completionHelp), args)
	if !ok {
		return code
	}
	scripts := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}
	if len(rest) != 1 || scripts[rest[0]] == "" {
		fmt.Fprintf(c.problems, "leda completion: name a shell, bash, zsh or fish, got %q\n", rest)
		return exitBadInput
	}
	fmt.Fprint(c.out, scripts[rest[0]])
	return exitFine
}

// words are what may stand in place of the last of the words typed behind leda. Nothing means a file.
func (c console) words(typed []string) []string {
	if len(typed) == 0 {
		typed = []string{""}
	}
	current := typed[len(typed)-1]
	starting := func(all []string) []string {
		return slices.DeleteFunc(all, func(word string) bool { return !strings.HasPrefix(word, current) })
	}
	if len(typed) == 1 {
		var names []string
		for _, v := range verbs() {
			names = append(names, v.name)
		}
		return starting(names)
	}
	for _, v := range verbs() {
		if v.name != typed[0] {
			continue
		}
		flags := flag.NewFlagSet(v.name, flag.ContinueOnError)
		v.flags(flags)
		switch before := typed[len(typed)-2]; {
		case len(typed) > 2 && strings.HasPrefix(before, "-") && flags.Lookup(strings.TrimLeft(before, "-")) != nil:
			return starting(valuesOf(strings.TrimLeft(before, "-")))
		case strings.HasPrefix(current, "-"):
			var names []string
			flags.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
			return starting(names)
		case v.name == "explain":
			return starting(localTargets())
		case v.name == "completion":
			return starting([]string{"bash", "zsh", "fish"})
		}
	}
	return nil
}

// valuesOf are the words that a flag takes; nothing where it takes a file or a number.
func valuesOf(flag string) []string {
	switch flag {
	case "policy", "vs":
		return []string{string(scaling.PolicyDirect), string(scaling.PolicyKEDA)}
	case "source":
		return scaling.Sources()
	case "o":
		return []string{"table", "json", "csv", "html"}
	}
	return nil
}

// localTargets are those of the folder scaledobjects, as far as it can be read.
func localTargets() []string {
	files, err := readFiles(nil, nil)
	if err != nil {
		return nil
	}
	parsed, err := scaling.ParseWithoutCredentials(files...)
	if err != nil {
		return nil
	}
	var names []string
	for _, o := range parsed.ScaledObjects {
		names = append(names, o.Namespace+"/"+o.Name)
	}
	return names
}
