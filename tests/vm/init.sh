#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The first process of the virtual machine, twice: in the first file system, to reach the disk, and on
# the disk, to set the machine up as a system with control groups version 2 does, run the job, hand out
# its results and end the machine with its exit status.

first() {
	/bin/busybox --install -s /bin
	mount -t proc proc /proc
	mount -t devtmpfs dev /dev
	for module in /modules/*; do
		insmod "$module"
	done
	mount -t ext4 -o rw,noatime /dev/vda /root || panic "the disk cannot be mounted"
	mount -t tmpfs -o mode=0755 run /root/run
	cp /init /vm-exit /root/run/
	umount /proc
	mount --move /dev /root/dev
	exec switch_root /root /run/init second
}

panic() {
	echo "ctnfs-vm: $*"
	poweroff -f
}

mount_all() {
	mount -t proc -o nosuid,nodev,noexec proc /proc
	mount -t sysfs -o nosuid,nodev,noexec sys /sys
	mkdir -p /dev/pts /dev/shm /dev/mqueue
	mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 shm /dev/shm
	mount -t mqueue mqueue /dev/mqueue
	mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
	mount --make-rshared / # as systemd does
	ln -sf /proc/self/fd /dev/fd
	ln -sf fd/0 /dev/stdin
	ln -sf fd/1 /dev/stdout
	ln -sf fd/2 /dev/stderr
	mkdir -p /run/lock
}

# Where systemd would have put them: the controllers at the top, this process in a group of its own.
control_groups() {
	mkdir /sys/fs/cgroup/init
	echo $$ > /sys/fs/cgroup/init/cgroup.procs
	for name in cpu cpuset io memory pids; do
		echo "+$name" > /sys/fs/cgroup/cgroup.subtree_control
	done
}

second() {
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
	mount_all
	control_groups
	hostname ctnfs-vm
	echo "127.0.0.1 localhost ctnfs-vm" > /etc/hosts
	ip link set lo up
	for name in fuse overlay veth loop; do
		modprobe $name || echo "no module $name"
	done
	ulimit -Hn 524288
	dmesg -n 1 # only a panic may stand on the serial line between our lines
	tar -xf /dev/vdb -C / || panic "the job cannot be unpacked"
	python3 /run/ctnfs-vm/guest.py < /dev/null
	status=$?
	dmesg > /run/ctnfs-vm/results/dmesg.txt
	tar -cf /dev/vdc -C /run/ctnfs-vm results || status=126
	sync
	echo "ctnfs-vm: end $status"
	sleep 0.2 # for the serial line
	/run/vm-exit "$status"
	panic "vm-exit does not work"
}

case $1 in
second) second ;;
*) first ;;
esac
