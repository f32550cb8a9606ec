/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of the runtime-spec, made by others and in their manner, as specs. */
#include "caps.h"
#include "oci_fixture.h"
#include "spec_lines.h"

/* The devices that are no defaults. */
static const char *more_devices(const struct spec *s)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < s->devices.len; i++) {
		const char *const *d = spec_default_devices;

		while (*d && strcmp(*d, s->devices.items[i]) != 0)
			d++;
		if (!*d)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n",
					      s->devices.items[i]);
	}
	/* A node of each is there in any case. */
	CHECK(strstr(text_of(s, "devices"), "/dev/null\n"));
	CHECK(strstr(text_of(s, "devices"), "c 136:* rw\n"));
	return text;
}

static void test_runc(void)
{
	struct spec *s = import_file("runc.json");

	if (!s)
		return;
	CHECK_STR(s->name, "");
	CHECK_STR(text_of(s, "cmd"), "sh\n");
	CHECK(s->start && s->tty && s->no_new_privs);
	CHECK_STR(text_of(s, "env"), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
				     "/bin\n-HOME\n-HOSTNAME\nTERM=xterm\n");
	CHECK_STR(text_of(s, "cwd"), "/\n");
	CHECK_STR(text_of(s, "user"), "0:0\n");
	CHECK_STR(text_of(s, "hostname"), "runc\n");
	CHECK_STR(text_of(s, "rootfs"), "/srv/bundle/rootfs ro\n");
	CHECK_STR(text_of(s, "caps"), "cap_kill\ncap_net_bind_service\ncap_audit_write\n");
	CHECK_STR(text_of(s, "rlimits"), "nofile 1024 1024\n");
	CHECK_STR(text_of(s, "seccomp"), "none\n");
	CHECK_STR(text_of(s, "ns.list"),
		  "cgroup host\nipc new\nmnt new\nnet new\npid new\ntime host\nuser host\nuts "
		  "new\n");
	CHECK_STR(more_devices(s), "");
	CHECK_STR(knobs_of(s), "pids.max max\n");
	CHECK_STR(text_of(s, "mounts"),
		  "-/tmp\n-/run\n"
		  "proc /proc proc defaults 0 0\n"
		  "tmpfs /dev tmpfs nosuid,strictatime,mode=755,size=65536k 0 0\n"
		  "shm /dev/shm tmpfs nosuid,noexec,nodev,mode=1777,size=65536k 0 0\n"
		  "cgroup /sys/fs/cgroup cgroup nosuid,noexec,nodev,relatime,ro 0 0\n");
	/* Its sets are what the bounding set gives root; its ambient ones are not inheritable. */
	CHECK(s->oci->has_groups && s->oci->n_groups == 0 && !s->oci->has_caps);
	spec_put(s);
}

static void test_runc_rootless(void)
{
	struct spec *s = import_file("runc-rootless.json");

	if (!s)
		return;
	CHECK_STR(text_of(s, "ns.list"),
		  "cgroup host\nipc new\nmnt new\nnet host\npid new\ntime host\nuser new\nuts "
		  "new\n");
	CHECK(s->oci->uids.len == 1 && s->oci->uids.items[0].count == 1);
	CHECK(s->oci->gids.len == 1 && s->oci->gids.items[0].outside == 0);
	/* /sys bound from the host is what there is without a network namespace. */
	CHECK(!strstr(text_of(s, "mounts"), "/sys "));
	CHECK(strstr(text_of(s, "mounts"), "/dev/pts devpts"));
	spec_put(s);
}

static void test_docker(void)
{
	struct spec *s = import_file("docker.json");

	if (!s)
		return;
	CHECK_STR(text_of(s, "rootfs"), "/var/lib/docker/overlay2/9c5a/merged rw\n");
	CHECK(s->caps == CAPS_DEFAULT && !s->oci->has_caps && !s->no_new_privs && !s->tty);
	CHECK(s->oci->n_groups == 11 && s->oci->groups[10] == 27);
	CHECK_STR(s->oci->cgroups_path + 8,
		  "4f0c2b7d9e1a4f0c2b7d9e1a4f0c2b7d9e1a4f0c2b7d9e1a4f0c2b7"
		  "d9e1abeef");
	CHECK_STR(knobs_of(s), "memory.limit 67108864\nmemory.swap.limit 67108864\n"
			       "cpu.shares 512\ncpuset.cpus 0\ncpu.max 50000 100000\n"
			       "pids.max 100\n");
	CHECK_STR(more_devices(s), "c 1:5 rwm\nc 1:3 rwm\nc 1:9 rwm\nc 1:8 rwm\nc 5:0 rwm\n"
				   "c 5:1 rwm\n");
	CHECK(strstr(text_of(s, "mounts"),
		     "\n/var/lib/docker/volumes/redis/_data /data none rbind,noidmap 0 0\n"));
	CHECK_STR(text_of(s, "sysctl"), "net.ipv4.ip_unprivileged_port_start = 0\n"
					"net.ipv4.ping_group_range = 0 2147483647\n");
	CHECK(s->seccomp[0] == '{' && strstr(s->seccomp, "clone3"));
	CHECK(strstr(text_of(s, "paths"), "masked /sys/firmware\n"));
	CHECK(strstr(text_of(s, "paths"), "readonly /proc/sysrq-trigger\n"));
	spec_put(s);
}

static void test_podman(void)
{
	struct spec *s = import_file("podman.json");

	if (!s)
		return;
	CHECK_STR(s->name, "web");
	CHECK(s->hostname == NULL); /* it is the name */
	CHECK_STR(text_of(s, "user"), "1000:1000\n");
	CHECK(s->oci->umask == 022 && s->oci->n_groups == 2);
	CHECK(s->tty && s->oci->rows == 40 && s->oci->cols == 120);
	CHECK(strstr(text_of(s, "env"), "\nMULTI=a\\nb\\\\c\n"));
	CHECK(s->caps == 0x13 && !s->oci->has_caps);
	CHECK_STR(text_of(s, "rlimits"), "nofile 1048576 1048576\nnproc 4194304 max\n");
	CHECK(s->oom_score_adj == 100);
	CHECK_STR(s->ns[NS_NET], "/run/user/1000/netns/netns-1f2e");
	CHECK_STR(more_devices(s), "c 10:229 rwm /dev/fuse\n");
	CHECK(s->oci->propagation == MS_SLAVE);
	CHECK(s->oci->uids.len == 2 && s->oci->uids.items[1].outside == 100000);
	CHECK(strstr(text_of(s, "mounts"),
		     "\n/home/u/work /work none rw,rprivate,nosuid,nodev,rbind 0 0\n"));
	CHECK(strstr(text_of(s, "mounts"), "userdata/hosts /etc/hosts none "
					   "bind,rprivate,noidmap 0 0\n"));
	CHECK(s->oci->annotations.len == 3);
	CHECK(strncmp(s->oci->cgroups_path, "user.slice:libpod:", 18) == 0);
	spec_put(s);
}

static void test_containerd(void)
{
	struct spec *s = import_file("containerd.json");

	if (!s)
		return;
	CHECK_STR(text_of(s, "rootfs"), "/srv/bundle/rootfs ro\n");
	/* Not root, and yet it has them: that does not follow from the bounding set. */
	CHECK(s->oci->has_caps && s->oci->caps[SPEC_CAP_EFFECTIVE] == CAPS_DEFAULT);
	CHECK_STR(knobs_of(s), "cpu.shares 2\nmemory.high 1073741824\npids.max max\n");
	CHECK(s->oom_score_adj == -998);
	CHECK_STR(text_of(s, "ns/net"), "/var/run/netns/cni-12\n");
	spec_put(s);
}

static void check_every_lines(const struct spec *s)
{
	CHECK_STR(text_of(s, "env"), "-PATH\n-HOME\n-HOSTNAME\nTERM=vt100\nA=1\nB=x=y \n");
	CHECK_STR(text_of(s, "cmd"), "prog 'a b' ''\n");
	CHECK_STR(text_of(s, "rootfs"), "/srv/bundle/root/x ro\n");
	CHECK_STR(text_of(s, "rlimits"), "core 0 0\nstack 8388608 max\n");
	CHECK_STR(text_of(s, "mounts"), "-/dev/pts\n-/dev/shm\n-/dev/mqueue\n-/tmp\n-/run\n"
					"sysfs /sys sysfs nosuid,noexec,nodev 0 0\n"
					"/srv/bundle/d\\040a /data none bind,ro,noidmap 0 0\n"
					"/srv/m /m none rbind 0 0\n"
					"tmpfs /t tmpfs size=1m,tmpcopyup 0 0\n");
	CHECK_STR(more_devices(s), "c 10:200 rw /dev/net/tun 0640 1:2\n"
				   "b 7:0 r /dev/loop0\n"
				   "b 7:* r\n"
				   "c 4:64 r\n");
	CHECK_STR(knobs_of(s), "memory.limit 1048576\nmemory.swap.limit 2097152\n"
			       "cpuset.cpus 0-1\ncpuset.mems 0\ncpu.max 20000 50000\n"
			       "io.max 8:0 rbps=600 riops=80 wiops=90\n"
			       "io.max 8:16 wbps=700\n"
			       "memory.high 4096\ncpu.weight 50\n"
			       "io.max 8:32 rbps=1\nio.max 8:48 wiops=2\n"
			       "pids.max max\n");
	CHECK_STR(text_of(s, "sysctl"), "net.core.somaxconn = 1024\nkernel.msgmax = 8192\n");
	CHECK_STR(text_of(s, "paths"), "masked /proc/kcore\nmasked /proc/both\n"
				       "readonly /proc/sys\n");
	CHECK_STR(text_of(s, "ns.list"), "cgroup new\nipc new\nmnt new\nnet new\npid new\ntime "
					 "new\nuser new\nuts new\n");
}

static void test_every_field(void)
{
	struct spec *s = import_file("every.json");
	ctn_autofree char *members = NULL;

	if (!s)
		return;
	check_every_lines(s);
	CHECK_STR(s->name, "full");
	CHECK_STR(s->hostname, "every");
	CHECK(s->oom_score_adj == -5 && s->no_new_privs);
	CHECK(s->caps == 0xa1);
	members = members_text(s);
	CHECK_STR(members,
		  "{\"process\":{\"user\":{\"umask\":63,\"additionalGids\":[9,10]},"
		  "\"capabilities\":{\"effective\":[\"CAP_CHOWN\"],\"permitted\":[\"CAP_CHOWN\","
		  "\"CAP_KILL\"],\"inheritable\":[\"CAP_KILL\"],\"ambient\":[\"CAP_KILL\"]},"
		  "\"consoleSize\":{\"height\":24,\"width\":80},"
		  "\"scheduler\":{\"policy\":\"SCHED_FIFO\",\"priority\":10,"
		  "\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\"]},"
		  "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_IDLE\",\"priority\":7}},"
		  "\"domainname\":\"example.org\","
		  "\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":200000,\"size\":1000}]"
		  ",\"gidMappings\":[{\"containerID\":0,\"hostID\":200000,\"size\":1000}],"
		  "\"timeOffsets\":{\"monotonic\":{\"secs\":-5,\"nanosecs\":7},"
		  "\"boottime\":{\"secs\":172800,\"nanosecs\":0}},"
		  "\"rootfsPropagation\":\"rslave\",\"cgroupsPath\":\"/a/b\","
		  "\"personality\":{\"domain\":\"LINUX32\"}},"
		  "\"annotations\":{\"a.b\":\"c=d\",\"e\":\"\"}}");
	spec_put(s);
}

/* What is left out is said, too. */
static void test_least(void)
{
	static const char text[] = "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/srv/r\"}, "
				   "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}]}}";
	struct spec *s = NULL;

	CHECK_ERR(import_text(text, NULL, &s, &check_err), 0, "");
	if (!s)
		return;
	CHECK_STR(text_of(s, "rootfs"), "/srv/r rw\n");
	CHECK(s->cmd.len == 0 && s->caps == 0 && !s->no_new_privs && !s->tty && s->start);
	CHECK_STR(text_of(s, "env"), "-PATH\n-HOME\n-HOSTNAME\n-TERM\n");
	CHECK_STR(text_of(s, "mounts"), "-/proc\n-/sys\n-/dev\n-/dev/pts\n-/dev/shm\n"
					"-/tmp\n-/run\n");
	CHECK_STR(text_of(s, "paths"), "\n");
	CHECK_STR(text_of(s, "seccomp"), "none\n");
	CHECK_STR(more_devices(s), "");
	CHECK_STR(knobs_of(s), "pids.max max\n");
	spec_put(s);
}

static const struct check_test tests[] = {
	{"runc spec", test_runc},
	{"runc spec --rootless", test_runc_rootless},
	{"docker's", test_docker},
	{"podman's", test_podman},
	{"containerd's", test_containerd},
	{"every field", test_every_field},
	{"the least there can be", test_least},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
