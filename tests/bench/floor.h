/* SPDX-License-Identifier: Apache-2.0 */
/* The floor: what a default container costs when one process does nothing but that. */
#ifndef CTNFS_TESTS_FLOOR_H
#define CTNFS_TESTS_FLOOR_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

enum { FLOOR_GROUPS = 16, FLOOR_BINDS = 8, FLOOR_ID_BASE = 0x7f000000, FLOOR_IDS = 65536 };

/* One hierarchy: the directory in which each life makes its own. */
struct floor_group {
	int parent, dir, tasks;
	char name[32];
};

struct floor {
	struct floor_group groups[FLOOR_GROUPS];
	int n_groups;
	bool v2;
	int devices_prog;
	char dir[256];	 /* where layers are made; absolute */
	char lower[384]; /* the skeleton */
	int dirfd;
	struct sock_fprog filter;
	const char *first; /* path of the program that says when it began */
};

/* One life's descriptors. The first process shares our table until its close_range. */
struct floor_life {
	int root, tmpfs, binds[FLOOR_BINDS];
	int lower; /* -1: attached */
	int go[2]; /* this struct, once the maps are written and the mounts are made */
	int out;   /* standard output of the program */
	char *const *argv;
};

/* floor_cgroup.c */
void floor_groups_open(struct floor *f);
void floor_groups_close(struct floor *f);
void floor_group_make(struct floor *f, const char *name);
void floor_group_remove(struct floor *f, const char *name);
void floor_group_attach(const struct floor *f); /* in the first process */

/* floor_mounts.c */
extern const char *const floor_binds[FLOOR_BINDS];
void floor_mounts_make(const struct floor *f, int userns, struct floor_life *life);
void floor_layer_make(const struct floor *f);
void floor_layer_remove(const struct floor *f);

/* floor_stage.c: the first process, up to execve */
void floor_stage(const struct floor *f, struct floor_life *life) __attribute__((noreturn));

#endif
