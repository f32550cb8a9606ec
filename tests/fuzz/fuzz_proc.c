/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of processes, mounts and control groups, with names in it that anybody may
 * choose. Five parts between lines "%%": stat, status, uid_map, mountinfo, cgroup. */
#include <errno.h>

#include "cgroup_private.h"
#include "fuzz_dir.h"
#include "pidref.h"
#include "procfs.h"
#include "spec_idmap.h"

static int dir = -1;

static void check_process(void)
{
	struct procfs_status st, untouched;
	struct ctn_err err = {0};
	uint64_t caps[5] = {0};
	int r;

	memset(&st, 0x5a, sizeof(st));
	memset(&untouched, 0x5a, sizeof(untouched));
	r = fuzz_result(procfs_read_status(dir, &st, &err), &err);
	if (r < 0)
		FUZZ_CHECK(memcmp(&st, &untouched, sizeof(st)) == 0);
	else
		FUZZ_CHECK(memchr(st.comm, '\0', sizeof(st.comm)));
	FUZZ_CHECK(fuzz_result(procfs_read_caps(dir, caps, &err), &err) == 0);
}

static void check_maps(void)
{
	struct spec_maps uids = {0}, gids = {0};
	struct ctn_err err = {0};

	if (fuzz_result(spec_maps_read(dir, &uids, &gids, &err), &err) == 0)
		FUZZ_CHECK(spec_maps_same(&uids, &gids));
}

/* Paths that are opened are those of mounts of control groups, and nothing is made there. */
static void check_groups(const char *mountinfo, const char *cgroups)
{
	struct cgroup_root *root = calloc(1, sizeof(*root));
	struct ctn_err err = {0};

	FUZZ_CHECK(root);
	root->devices_prog = -1;
	if (fuzz_result(cgroup_discover(root, mountinfo, cgroups, &err), &err) == 0) {
		FUZZ_CHECK(root->n > 0 && root->n <= CG_CONTROLLERS);
		FUZZ_CHECK(root->version == 1 || root->n == 1);
	}
	for (size_t i = 0; i < root->n; i++) {
		FUZZ_CHECK(!root->hier[i].own || root->hier[i].own[0] != '/');
		ctn_close_fd(&root->hier[i].mountfd);
		free(root->hier[i].mount);
		free(root->hier[i].own);
	}
	free(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"stat", "status", "uid_map"};
	const char *rest = (const char *)data, *end = rest + size, *text;
	ctn_autofree char *mountinfo = NULL, *cgroups = NULL;
	size_t len;
	int fd;

	if (dir < 0)
		dir = fuzz_dir_make();
	for (size_t i = 0; i < CTN_COUNT(names); i++) {
		text = fuzz_part(&rest, end, &len);
		fuzz_put(dir, names[i], text, len);
		if (i == 2)
			fuzz_put(dir, "gid_map", text, len);
	}
	text = fuzz_part(&rest, end, &len);
	mountinfo = strndup(text, len);
	text = fuzz_part(&rest, end, &len);
	cgroups = strndup(text, len);
	FUZZ_CHECK(mountinfo && cgroups);
	fd = fuzz_free_fd();
	check_process();
	check_maps();
	check_groups(mountinfo, cgroups);
	FUZZ_CHECK(fuzz_free_fd() == fd);
	return 0;
}
