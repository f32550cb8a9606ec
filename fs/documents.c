/* SPDX-License-Identifier: Apache-2.0 */
/* Files that hold whole specs: `new`, `spec`, `config.json`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "../core/container_create.h"
#include "../core/spec_doc.h"
#include "../core/spec_json.h"
#include "files.h"
#include "write.h"

int show_new(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	(void)ref;
	(void)err;
	fputs(spec_template(), out);
	return 0;
}

int show_spec(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return container_print_spec(ref->c, out, err);
}

int show_config_json(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return container_print_oci(ref->c, out, err);
}

/* Whose name a refusal is under, and what the descriptor reads: a container that was made is not to
 * be refused for want of that. */
static int room_for_name(struct write_op *op, const struct spec *spec, struct ctn_err *err)
{
	const size_t len = strlen(spec->name), room = len > SPEC_NAME_MAX ? len : SPEC_NAME_MAX;

	free(op->about);
	free(op->said);
	op->said = calloc(1, room + 1);
	op->about = calloc(1, room + 1);
	return op->said && op->about ? 0 : ctn_fail(err, ENOMEM, "new: no memory");
}

static void remember_name(struct write_op *op, const struct spec *spec)
{
	strcpy(op->said, spec->name);
	strcpy(op->about, spec->name);
	if (!spec->name[0]) {
		free(op->about);
		op->about = NULL;
	}
}

static int create(const struct node_ref *ref, struct write_op *op, struct spec *spec,
		  struct ctn_err *err)
{
	struct container *c = NULL;
	int r = room_for_name(op, spec, err);

	if (r < 0)
		return r;
	r = container_create_spec(ref->fs->engine, spec, write_waiter(op), &c, err);
	remember_name(op, spec); /* it may have got one */
	container_put(c);
	return r < 0 ? ctn_fail_context(err, "new") : r;
}

/* One document, or the path of a bundle. */
static int parse(const struct node_ref *ref, const char *text, struct spec **ret,
		 struct ctn_err *err)
{
	struct spec *spec = NULL;
	int r = text[0] == '/' && !ref->c ? spec_doc_load(text, &spec, err)
					  : spec_doc_parse(text, strlen(text), NULL, &spec, err);

	if (r == 0)
		r = container_spec_bound(ref->fs->engine, spec, err);
	if (r < 0) {
		spec_put(spec);
		return ctn_fail_context(err, "%s", ref->node->path);
	}
	*ret = spec;
	return 0;
}

int store_new(const struct node_ref *ref, struct write_op *op, const char *text,
	      struct ctn_err *err)
{
	struct spec *spec = NULL;
	int r = parse(ref, text, &spec, err);

	if (r < 0)
		return r;
	r = create(ref, op, spec, err);
	spec_put(spec);
	return r;
}

int store_spec(const struct node_ref *ref, struct write_op *op, const char *text,
	       struct ctn_err *err)
{
	struct spec *spec = NULL;
	int r = parse(ref, text, &spec, err);

	(void)op;
	if (r < 0)
		return r;
	list_lock(ref->c); /* apart from those who compare and write one list */
	r = container_replace_spec(ref->c, spec, err);
	list_unlock(ref->c);
	spec_put(spec);
	return r;
}
