/* SPDX-License-Identifier: Apache-2.0 */
/* The floor: lives of a default container, led by this process alone, which does what such a
 * container needs and nothing else: nobody can look at it, it leaves no record, and it dies with
 *us.
 *
 *	floor DIR FIRST N	N lives of /usr/bin/true
 *	floor DIR FIRST -	one for each line of standard input (see bench.h)
 *
 * DIR: an empty directory for the skeleton and layers. FIRST: the program of first.c. */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bench.h"
#include "caps.h"
#include "floor.h"
#include "io.h"
#include "rootfs.h"
#include "seccomp.h"

static pid_t clone_first(const struct floor *f)
{
	struct clone_args_ {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
			set_tid, set_tid_size, cgroup;
	} args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
			 CLONE_NEWUTS | CLONE_FILES,
		.exit_signal = SIGCHLD,
	};

	if (f->v2) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)f->groups[0].dir;
	}
	return (pid_t)BENCH_TRY("clone3", syscall(SYS_clone3, &args, sizeof(args)));
}

static void map_write(pid_t pid, const char *file)
{
	char path[64], line[64];
	int n = snprintf(line, sizeof(line), "0 %u %u\n", FLOOR_ID_BASE, FLOOR_IDS), fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = BENCH_TRY(path, open(path, O_WRONLY | O_CLOEXEC));
	BENCH_TRY(path, write(fd, line, (size_t)n));
	close(fd);
}

/* While the first process attaches itself to its cgroups. */
static void equip(const struct floor *f, pid_t pid, struct floor_life *life)
{
	char path[64];
	int userns;

	map_write(pid, "uid_map");
	map_write(pid, "gid_map");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	userns = BENCH_TRY(path, open(path, O_RDONLY | O_CLOEXEC));
	floor_mounts_make(f, userns, life);
	close(userns);
	BENCH_TRY("go", write(life->go[1], life, sizeof(*life)));
}

static void life_close(const struct floor_life *life)
{
	close(life->root);
	close(life->tmpfs);
	if (life->lower >= 0)
		close(life->lower);
	for (int i = 0; i < FLOOR_BINDS && floor_binds[i]; i++)
		close(life->binds[i]);
	close(life->go[0]);
	close(life->go[1]);
}

/* The first process, from its birth to its end. */
static void run(struct floor *f, struct floor_life *life)
{
	int status = 0;
	pid_t pid;

	BENCH_TRY("pipe", pipe2(life->go, O_CLOEXEC));
	pid = clone_first(f);
	if (pid == 0)
		floor_stage(f, life);
	equip(f, pid, life);
	BENCH_TRY("wait", waitpid(pid, &status, 0));
	life_close(life);
	if (status) {
		fprintf(stderr, "floor: the container ended with status %x\n", status);
		_exit(1);
	}
}

static uint64_t cpu_ns(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < 2; i++) {
		struct rusage u;

		getrusage(i ? RUSAGE_CHILDREN : RUSAGE_SELF, &u);
		sum += (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000U;
		sum += (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000U;
	}
	return sum;
}

static void life_lead(struct floor *f, bool first)
{
	static char *const argv_true[] = {"/usr/bin/true", NULL}, *const argv_first[] = {"/first",
											 NULL};
	struct floor_life life = {.argv = first ? argv_first : argv_true};
	uint64_t cpu = cpu_ns(), begin = bench_now(), copying = 0, said = 0, end;
	int out[2];

	BENCH_TRY("pipe", pipe2(out, O_CLOEXEC | O_NONBLOCK));
	life.out = out[1];
	floor_layer_make(f);
	if (first) {
		copying = bench_now();
		bench_copy(f->first, f->dirfd, "upper/first");
		copying = bench_now() - copying;
	}
	floor_group_make(f, "life");
	run(f, &life);
	floor_group_remove(f, "life");
	floor_layer_remove(f);
	end = bench_now();
	if (first)
		said = bench_read_first(out[0]);
	close(out[0]);
	close(out[1]);
	printf("{\"total\": %.1f, \"first\": %.1f, \"cpu\": %.1f}\n",
	       bench_us(begin + copying, end), bench_us(begin + copying, said),
	       bench_us(cpu, cpu_ns()));
	fflush(stdout);
}

static void prepare(struct floor *f, const char *dir)
{
	struct seccomp_profile *profile = NULL; /* its program is used to the end */
	struct seccomp_program program;
	struct ctn_err err = {0};
	char *skeleton = NULL;

	f->dirfd = BENCH_TRY(dir, open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!realpath(dir, f->dir))
		BENCH_TRY(dir, -1);
	/* What we mount is nobody else's business. */
	BENCH_TRY("mount namespace", unshare(CLONE_NEWNS));
	BENCH_TRY("mount namespace", mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	if (rootfs_skeleton_open(f->dirfd, (const char *const[]){f->dir, NULL}, &skeleton, &err) <
		    0 ||
	    seccomp_profile_get("default", NULL, CAPS_DEFAULT, &profile, &err) < 0) {
		fprintf(stderr, "floor: %s\n", err.text);
		exit(1);
	}
	program = seccomp_program(profile);
	snprintf(f->lower, sizeof(f->lower), "%s/%s", f->dir, skeleton);
	free(skeleton);
	f->filter.len = (unsigned short)program.len;
	f->filter.filter = (struct sock_filter *)program.filter;
	floor_groups_open(f);
}

int main(int argc, char **argv)
{
	static struct floor f;
	char line[32];

	if (argc != 4) {
		fprintf(stderr, "usage: floor DIR FIRST N|-\n");
		return 2;
	}
	f.first = argv[2];
	prepare(&f, argv[1]);
	for (int n = atoi(argv[3]); n > 0; n--)
		life_lead(&f, false);
	while (strcmp(argv[3], "-") == 0 && fgets(line, sizeof(line), stdin))
		life_lead(&f, strcmp(line, "first\n") == 0);
	floor_groups_close(&f);
	return 0;
}
