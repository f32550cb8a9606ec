#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# specs.sh [MOUNT]: containers from one JSON document, and the same settings file by file. Without
# MOUNT, on a fresh one that is removed afterwards. Needs jq and redis-server.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/specs.sh"
cd "$1"

dir=$(mktemp -d "${TMPDIR:-/tmp}/ctnfs-specs-XXXXXX")
trap 'rm -r --one-file-system "$dir"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
export dir

show() {
	echo "\$ $1"
	eval "$1"
}

# A redis that is told to stop while it starts may forget that.
ready() {
	timeout 30 sh -c 'until nsenter --net="$1/ns/net" redis-cli ping > "$dir/pong" 2>&1; do
		sleep 0.05
	done' sh "$1"
}

echo '# A document of our own form: keys are names of files.'
cat > "$dir/spec.json" << 'END'
{
  "name": "db",
  "cmd": ["redis-server", "--save", ""],
  "env": { "LEVEL": "high" },
  "caps": ["default", "-cap_mknod"],
  "cgroup": { "memory.limit": "64M", "pids.max": 100 }
}
END
show 'cat $dir/spec.json > new'
show 'cat db/state db/memory.limit'

echo '# A descriptor that is read as well says which name it got, or why it did not.'
exec 3<> new
show 'cat $dir/spec.json >&3 2> /dev/null || cat <&3'
exec 3>&-

echo '# A clone.'
exec 3<> new
show "jq '.name = \"db2\"' db/spec >&3; cat <&3"
exec 3>&-
show 'diff db/spec db2/spec || :'
ready db2
show 'echo stop > db2/ctl'
show 'rmdir db2'

echo '# What is stored for the next start waits in pending. sed -i works: one write, checked.'
show 'sed -i s/high/low/ db/env'
show 'cat db/pending'
show 'cp db/env $dir/env; echo LEVEL=middle >> $dir/env; cp $dir/env db/env'
show 'grep LEVEL db/env db/pending'
show 'echo restart > db/ctl'
show 'grep LEVEL db/env'
ready db
show 'echo stop > db/ctl'
show 'rmdir db'

echo '# An OCI bundle: a directory with a config.json and a root file system. This one borrows /usr.'
mkdir -p "$dir/bundle/rootfs"
for d in bin lib lib64; do ln -s "usr/$d" "$dir/bundle/rootfs/$d"; done
cat > "$dir/bundle/config.json" << 'END'
{
  "ociVersion": "1.0.2",
  "hostname": "job",
  "root": { "path": "rootfs", "readonly": false },
  "process": {
    "args": ["sh", "-c", "echo $LEVEL in $(pwd) on $(uname -n); ulimit -n; grep CapBnd /proc/self/status"],
    "env": ["PATH=/usr/bin:/bin", "LEVEL=high"],
    "cwd": "/tmp",
    "user": { "uid": 0, "gid": 0 },
    "capabilities": { "bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"] },
    "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024 }],
    "noNewPrivileges": true
  },
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
    { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=1m"] }
  ],
  "linux": {
    "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "uts" }, { "type": "ipc" },
      { "type": "network" }],
    "resources": { "memory": { "limit": 33554432 } }
  }
}
END
show 'echo $dir/bundle > new'
show 'cat job/wait job/log job/memory.limit'
show 'rmdir job'
echo '# Or the document alone, with an absolute root.'
show 'jq ".root.path = env.dir + \"/bundle/rootfs\"" $dir/bundle/config.json > new'
show 'cat job/wait'
show 'jq -c ".process.rlimits, .linux.resources.memory" job/config.json'
show 'rmdir job'

echo '# What cannot be honoured is refused, never dropped.'
show 'jq ".root.path = env.dir | .hooks.prestart = [{}]" $dir/bundle/config.json > $dir/hooks.json'
show 'cat $dir/hooks.json > new 2> /dev/null || tail -n 1 error'
show 'echo "{ \"name\": \"x\", \"cmt\": \"true\" }" > new 2> /dev/null || tail -n 1 error'

echo '# File by file.'
mkdir "$dir/data"
echo 'hello from the host' > "$dir/data/hello"
cat > "$dir/profile.json" << 'END'
{ "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }] }
END
show 'mkdir web'
show 'echo "$dir/data /data none bind,ro 0 0" >> web/mounts'
show 'echo "tmpfs /scratch tmpfs size=1m,mode=1777 0 0" >> web/mounts'
show 'echo "nofile 1024 4096" >> web/rlimits'
show 'echo "net.ipv4.ip_unprivileged_port_start = 80" >> web/sysctl'
show 'echo redis > web/user'
show 'cat $dir/profile.json > web/seccomp; echo -sethostname >> web/seccomp'
show 'grep -v "^#" web/mounts web/rlimits web/sysctl web/user'
cat > "$dir/job" << 'END'
id -un
cat /data/hello
cat /proc/sys/net/ipv4/ip_unprivileged_port_start
ulimit -Sn; ulimit -Hn
mkdir /scratch/x
END
show 'jq -cn --rawfile job $dir/job "[\"sh\", \"-c\", \$job]" > web/cmd'
show 'cat web/wait web/log'
show 'rmdir web'
