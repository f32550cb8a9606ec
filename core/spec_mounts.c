/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_mounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const spec_mount_defaults[] = {
	"/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/tmp", "/run", NULL,
};

bool spec_mount_default(const char *target)
{
	for (const char *const *p = spec_mount_defaults; *p; p++) {
		if (strcmp(*p, target) == 0)
			return true;
	}
	return false;
}

int spec_mount_parse(const char *line, struct spec_mount *ret, struct ctn_err *err)
{
	(void)ret;
	return ctn_fail(err, EOPNOTSUPP, "mounts: '%.80s'", line);
}

void spec_mount_free(struct spec_mount *m)
{
	free(m->source);
	free(m->target);
	free(m->type);
	free(m->data);
}
