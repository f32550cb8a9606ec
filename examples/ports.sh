#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ports.sh [MOUNT]: reach a container's port from the host. A container joins a network namespace by
# name, and a pair of virtual interfaces leads into it. Without MOUNT, on a fresh one that is removed
# afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/ports.sh"
cd "$1"

# The pair goes with the namespace, and the namespace with the last process in it.
trap 'ip netns delete ctnfs-ports' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The network. ip-netns(8) keeps it at /run/netns/ctnfs-ports. The addresses are those for examples.
ip netns add ctnfs-ports
ip link add ctnfs-ports0 type veth peer name eth0 netns ctnfs-ports
ip address add 192.0.2.1/24 dev ctnfs-ports0
ip link set ctnfs-ports0 up
ip -n ctnfs-ports address add 192.0.2.2/24 dev eth0
ip -n ctnfs-ports link set eth0 up
ip -n ctnfs-ports link set lo up

# A container in it.
mkdir db
echo /run/netns/ctnfs-ports > db/ns/net
echo 'redis-server --bind 192.0.2.2 --protected-mode no' > db/cmd
timeout 30 sh -c 'until grep -q "Ready to accept" db/log; do sleep 0.05; done'

# From the host.
redis-cli -h 192.0.2.2 ping

# While it runs, ns/net leads to the same network.
nsenter --net=db/ns/net ip -brief address show dev eth0
grep ^net db/ns.list
echo stop > db/ctl
rmdir db
