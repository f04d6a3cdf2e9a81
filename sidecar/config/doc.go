// Package config turns what the operator wrote, in one YAML file, in the
// environment and on the command line, into one [Config] that is typed, complete
// and valid, or into an [Error] that lists every fault at once.
//
// # Where values come from
//
// A flag wins over an environment variable, that over the file, that over the
// default. The file is the one named by -c, else by OUTRIDER_CONFIG (a path, or
// the YAML itself when it holds a newline or ": "), else ./outrider.yaml, else
// /etc/outrider/outrider.yaml. No file is fine as long as the environment names a
// cluster. Relative paths in the file are relative to the file's folder, those in
// variables and flags to the working directory.
//
// In scalars of the file ${VAR} and ${VAR:-default} are replaced after parsing, so
// a value can never change the structure, and $$ is a dollar. Inside { } and [ ]
// YAML wants quotes around them. A variable that is not set and has no default is a
// fault. Anchors, aliases and merge keys work; tags and several documents do not.
//
// # Environment
//
// OUTRIDER_CLUSTERS__ONE__BACKENDS="a:1,b:2" sets clusters.one.backends: two
// underscores go one level down, letters are lowered, and _ also matches the - of a
// name. A cluster that the file does not have keeps its underscores. Lists are
// separated by commas; a list or a section may also be written as YAML in brackets.
// The short form OUTRIDER_CLUSTER_ONE sets the backends of one; a single URL with a
// name also sets host and, for https, tls.server_name. OUTRIDER_SCRIPT is
// script.file, OUTRIDER_GOSSIP__SECRET has no key in the file. Any other variable that begins with OUTRIDER_ is a fault, but those
// that Kubernetes makes for a service called outrider, which are ignored and named
// in a note.
//
// # Decisions that the keys alone do not tell
//
//   - default_cluster is never guessed among several clusters. With one cluster it
//     is that one; with the built-in rule (no script) it is `two` where that exists.
//   - script.on_error, when not written, is default_cluster where that is written,
//     else fail.
//   - app becomes the cluster `app`. A section clusters.app may refine it, and may
//     leave out its backends; backends that differ from app are a fault.
//   - An https:// backend switches tls on. tls.server_name defaults to the backends'
//     host and must be written when they have different ones; host defaults to
//     tls.server_name, but is never taken from an IP address.
//   - A check that may take longer than its interval is a note, not a fault: checks
//     of one backend never overlap, they are only later than written.
//   - A key that the check's type does not use is a fault, because it means that
//     something else is checked than was meant.
//   - gossip counts as written when the section stands there, even with nothing in it
//     (gossip: or gossip: {}), or when any of its variables is set. Then it needs a
//     secret, unless listen and advertise are loopback addresses or insecure is true.
//     An empty OUTRIDER_GOSSIP__SECRET is as good as none.
//   - A secret stands in a file of its own or in OUTRIDER_GOSSIP__SECRET, never in the
//     configuration. insecure beside a secret is a fault: it would take effect on the
//     day that the secret is left out. That others can read the file is a note: where
//     it is mounted, mode and owner are rarely the sidecar's to choose.
//   - An admin listener that other hosts can reach needs a token_file.
//
// Every key stands in one table (keys.go), which reads the file, finds misspelt
// keys, and makes the JSON Schema and REFERENCE.md.
package config
