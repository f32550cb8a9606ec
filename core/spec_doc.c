/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_doc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "io.h"
#include "oci.h"
#include "spec_json.h"

static const char config_name[] = "config.json";

int spec_doc_parse(const char *text, size_t len, const char *bundle, struct spec **ret,
		   struct ctn_err *err)
{
	struct json_doc *doc = NULL;
	struct json_at root;
	int r = json_doc_parse(text, len, &doc, err);

	if (r < 0)
		return r;
	root = json_root(doc);
	if (oci_is(&root))
		r = oci_import(&root, bundle, ret, err);
	else if (bundle)
		r = ctn_fail(err, EINVAL, "it has no ociVersion, so it is no OCI document");
	else
		r = spec_from_at(&root, ret, err);
	json_doc_free(doc);
	return r;
}

/* Without waiting for a FIFO's writer, and without a terminal of our own. */
static int open_config(const char *path, int *ret, struct ctn_err *err)
{
	ctn_autoclose int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct stat st;

	if (dir < 0)
		return ctn_fail_errno(err, "the bundle %.200s", path);
	fd = openat(dir, config_name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ctn_fail_errno(err, "the bundle %.200s: %s", path, config_name);
	if (!S_ISREG(st.st_mode))
		return ctn_fail(err, EINVAL, "the bundle %.200s: its %s is no regular file", path,
				config_name);
	*ret = ctn_take_fd(fd);
	return 0;
}

int spec_doc_load(const char *path, struct spec **ret, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	ctn_autoclose int fd = -1;
	size_t len = 0;
	int r = open_config(path, &fd, err);

	if (r < 0)
		return r;
	r = io_read_fd(fd, config_name, JSON_DOC_MAX, &text, &len, err);
	if (r == -EFBIG)
		r = ctn_fail(err, EINVAL, "a document has at most %d bytes", JSON_DOC_MAX);
	if (r == 0)
		r = spec_doc_parse(text, len, path, ret, err);
	return r < 0 ? ctn_fail_context(err, "%.200s/%s", path, config_name) : 0;
}

bool spec_doc_is_bundle(const char *path)
{
	ctn_autoclose int fd = -1;

	return open_config(path, &fd, NULL) == 0;
}
