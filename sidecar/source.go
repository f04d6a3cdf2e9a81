package main

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"outrider/sidecar/config"
	"outrider/sidecar/watch"
)

// source is where the configuration comes from: the flags that every verb shares
// that needs one, the environment, and the file that these lead to.
type source struct {
	file  string
	flags map[string]*string // by the key that they set
	read  atomic.Pointer[watch.Reads]
}

// flagsOfKeys are the keys that have a flag of their own, and what it is for.
func flagsOfKeys() map[string]string {
	return map[string]string{
		"listen":          "address for requests, like :6188",
		"app":             "host:port of the app beside this sidecar",
		"default-cluster": "cluster of a request that the route does not decide on",
		"script.file":     "the routing script",
		"log.level":       "error, warn, info or debug",
		"log.format":      "auto, text or json",
	}
}

// flagName is the flag of a key.
func flagName(key string) string {
	switch key {
	case "script.file":
		return "script"
	case "log.level":
		return "log-level"
	case "log.format":
		return "log-format"
	}
	return key
}

func (s *source) register(cmd *cobra.Command) {
	s.flags = make(map[string]*string)
	cmd.Flags().StringVarP(&s.file, "config", "c", "", "configuration file (default ./outrider.yaml, /etc/outrider/outrider.yaml)")
	for key, usage := range flagsOfKeys() {
		s.flags[key] = cmd.Flags().String(flagName(key), "", usage)
	}
}

// usable is the configuration, for a verb that can do nothing without.
func (s *source) usable() (*config.Config, error) {
	c, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("the configuration is not usable:\n%w", err)
	}
	return c, nil
}

// load reads the configuration; it can be called again for a reload.
func (s *source) load() (*config.Config, error) {
	read := new(watch.Reads)
	defer s.read.Store(read)
	given := s.given()
	given.Files.ReadFile = read.ReadFile
	return config.Load(given)
}

// lastRead are the files that the last load has read, or looked for.
func (s *source) lastRead() *watch.Reads { return s.read.Load() }

// given is what a configuration is made from, as it is now.
func (s *source) given() config.Source {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "outrider"
	}
	src := config.Source{File: s.file, Env: os.Environ(), Hostname: hostname}
	for key, value := range s.flags {
		if *value != "" {
			src.Flags = append(src.Flags, config.Flag{Name: "--" + flagName(key), Key: keyOf(key), Value: *value})
		}
	}
	return src
}

func keyOf(flag string) string {
	if flag == "default-cluster" {
		return "default_cluster"
	}
	return flag
}
