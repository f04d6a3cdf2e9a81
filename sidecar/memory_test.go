package main

import (
	"testing"
	"testing/fstest"
)

func TestTheMemoryLimitIsTheLeastThatIsVisible(t *testing.T) {
	const mega = 1 << 20
	for name, row := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no cgroups":       {nil, 0},
		"v2, a container":  {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "67108864\n"}, 64 * mega},
		"v2, none":         {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"v2, a parent's":   {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1048576\n"}, mega},
		"v2, our own":      {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1048576\n", "sys/fs/cgroup/a/memory.max": "2097152\n"}, mega},
		"v1":               {map[string]string{"proc/self/cgroup": "4:cpu,memory:/a\n1:name=systemd:/\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1048576\n"}, mega},
		"v1, a container":  {map[string]string{"proc/self/cgroup": "4:memory:/docker/x\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576\n"}, mega},
		"v1, none":         {map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"nonsense":         {map[string]string{"proc/self/cgroup": "x\n4:memory:../..\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "-1\n"}, 0},
		"hybrid, v1 holds": {map[string]string{"proc/self/cgroup": "4:memory:/\n0::/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576\n"}, mega},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for file, text := range row.files {
				root[file] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := memoryLimit(root); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}
