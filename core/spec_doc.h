/* SPDX-License-Identifier: Apache-2.0 */
/* A whole spec from outside: a document in either form, or an OCI bundle. */
#ifndef CTNFS_CORE_SPEC_DOC_H
#define CTNFS_CORE_SPEC_DOC_H

#include "spec.h"

/** spec_doc_parse() - one JSON document, in the tree's own form or the OCI's (it has an
 * ociVersion). @bundle: NULL, or the directory that root.path is relative to. @ret: one reference;
 * its name is "" where the document gives none. -EINVAL, -EOPNOTSUPP. Thread: any. */
int spec_doc_parse(const char *text, size_t len, const char *bundle, struct spec **ret,
		   struct ctn_err *err);

/** spec_doc_load() - the config.json of the OCI bundle in directory @path, which is absolute. What
 * is no regular file is -EINVAL and not waited for. */
int spec_doc_load(const char *path, struct spec **ret, struct ctn_err *err);

/** spec_doc_is_bundle() - whether there is a bundle. */
bool spec_doc_is_bundle(const char *path);

#endif
