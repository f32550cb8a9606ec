#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tutorial.sh [MOUNT]: what a container is, seen from outside with ordinary tools. Without MOUNT, on a
# fresh one that is removed afterwards. Needs redis-server, redis-cli, capsh, nsenter, unshare, ip, ps.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/tutorial.sh"
cd "$1"
mnt=$(pwd)
exec 2>&1 # so that refusals stand where they happen

say() {
	echo
	printf '# %s\n' "$@"
}

run() {
	echo "\$ $1"
	eval "$1"
}

# Only what this script made goes away, also when a command fails.
leave() {
	status=$?
	trap - EXIT
	cd "$mnt"
	for c in db env mounter; do
		[ -d "$c" ] || continue
		case $(cat "$c/state") in
		created | exited) ;;
		*) echo kill > "$c/ctl" ;;
		esac
		rmdir "$c"
	done
	exit "$status"
}
for c in db env mounter; do
	[ ! -e "$c" ] || { echo "tutorial.sh: there is a $c in $mnt already"; exit 1; }
done
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

say '1. A container is a process' \
    'mkdir makes a container. Writing its command starts it, and the prompt comes back when the' \
    'program has been executed.'
run 'mkdir db'
run 'echo LEVEL=high >> db/env'
run 'echo redis-server > db/cmd'
run 'cat db/state db/pid'
say 'What it prints goes to its log.'
run "timeout 30 sh -c 'until grep \"Ready to accept\" db/log; do sleep 0.1; done'"
say 'To the host it is a process like any other, of a user who is nobody here.'
run 'ps -o pid,user,args -p "$(cat db/pid)"'
say 'Its own list of processes has the pid on the host and the one inside, where it is number 1.'
run 'cat db/ps'
run 'ls db/procs/'

say '2. The kernel describes a process in /proc' \
    'proc and procs/1 lead there, so nothing has to be searched for.'
run 'readlink db/proc db/procs/1'
run 'grep -E "^(Name|Pid|NSpid|Uid):" db/proc/status'
say 'env is the environment that the program was given. A program may overwrite its own copy, and' \
    'redis does: this is what the kernel finds there now.'
run 'cat db/env'
run 'tr -s "\\0" "\\n" < db/proc/environ'
say 'A second container, which only prints its environment: a job, started and waited for.'
run 'mkdir env'
run 'echo LEVEL=low >> env/env'
run 'echo env > env/cmd'
run 'cat env/wait'
run 'cat env/log'
run 'rmdir env'

say '3. Namespaces: what a process can see' \
    'Each kind of namespace is a link into /proc. Two processes that share one have the same number.'
run 'ls -l db/ns/'
run 'cat db/ns.list'
for kind in net pid mnt uts ipc cgroup user time; do
	run "[ db/ns/$kind -ef /proc/self/ns/$kind ] && echo $kind: the same as ours || echo $kind: its own"
done
say 'The links can be given to any tool that enters namespaces. This network has a loopback' \
    'interface and redis, and nothing else.'
run 'nsenter --net=db/ns/net ip -brief address'
run 'nsenter --net=db/ns/net redis-cli ping'
say 'With all of them entered, a tool of the host sees what redis sees.'
run 'nsenter --target "$(cat db/pid)" --all hostname'
run 'nsenter --target "$(cat db/pid)" --all ps -e -o pid,user,comm'
say 'exec runs a program inside, with these streams and this terminal: db/exec sh is a shell there.'
run 'db/exec redis-cli ping'
run 'db/exec ps -e -o pid,user,comm'
say 'unshare makes namespaces by hand. Here the shell is number 1 as well; but it has the files, the' \
    'limits and all the rights of root that it had before.'
run 'unshare --fork --pid --mount-proc sh -c "echo number \$\$; ps -e -o pid,comm"'
run 'unshare --fork --pid --mount-proc grep -E "^(CapBnd|Seccomp):" /proc/self/status'

say '4. Control groups: what a process can use' \
    'The kernel names its groups in proc/cgroup. raw/ has the directories themselves.'
run 'cat db/proc/cgroup'
run 'ls db/cgroup/raw/'
say 'cgroup/ has the same names on every version.'
run 'cat db/cgroup/cpu.stat'
run 'cat db/cgroup/cpu.shares'
run 'cat db/cgroup/memory.usage'
run 'cat db/memory.limit'
say 'A limit is in force when the write returns. The kernel keeps it in whole pages.'
run 'echo 16000000 > db/memory.limit'
run 'cat db/memory.limit'
say 'What is refused gives an error to the writer, and a sentence in the error file.'
run 'echo 4096 > db/memory.limit || tail -n 1 db/error'
run 'cat db/state db/memory.limit'

say '5. seccomp: which system calls it may make' \
    '0 is off, 1 is strict, 2 is a filter.'
run 'grep Seccomp: db/proc/status'
run 'head -n 5 db/seccomp'
say 'mount is not among them, for root in a container either.'
run 'mkdir mounter'
run 'echo "mount -t tmpfs none /mnt" > mounter/cmd'
run 'cat mounter/wait mounter/log'
run 'rmdir mounter'

say '6. Capabilities: what its root is allowed' \
    'The kernel has five sets of them for each process, as masks. The file has the names as well.'
run 'grep ^Cap db/proc/status'
run 'cat db/caps.sets'
say 'capsh reads a mask, too: this is all that redis and its children could ever have.'
run 'capsh --decode="$(sed -n "s/^CapBnd:.//p" db/proc/status)"'

say '7. The end' \
    'stop asks redis to leave (TERM) and returns when it has. rmdir takes everything away.'
run 'echo stop > db/ctl'
run 'cat db/state db/exit'
run 'rmdir db'
