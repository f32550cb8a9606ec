/* SPDX-License-Identifier: Apache-2.0 */
/* Private to core/seccomp*.c and their tests: what a profile is resolved to. */
#ifndef CTNFS_CORE_SECCOMP_RULES_H
#define CTNFS_CORE_SECCOMP_RULES_H

#include <linux/filter.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libseccomp's header. Search core/ for quoted names only (-iquote): our own has the same name. */
#include <seccomp.h>

#include "err.h"
#include "json_doc.h"
#include "strlist.h"

/* The ways into an x86_64 kernel. */
enum seccomp_abi { SECCOMP_X86_64, SECCOMP_I386, SECCOMP_X32, SECCOMP_ABIS };

enum {
	SECCOMP_NO_CALL = -1,
	SECCOMP_ARGS = 6,	/* of a call */
	SECCOMP_NUMBERS = 1024, /* no call has this number or a higher one */
	SECCOMP_X32_BIT = 0x40000000,
	SECCOMP_NAME_LEN = 64,	  /* bytes of a call's name */
	SECCOMP_RULES_MAX = 8192, /* of one profile */
	SECCOMP_MASKED_NE = 100,  /* beside enum scmp_compare: the reverse of SCMP_CMP_MASKED_EQ */
};

/** struct seccomp_cond - a condition on an argument, a 64-bit number; those of i386 are 32 bits
 * with zeros in front. @op: an enum scmp_compare. For the masked ones @a is the mask, @b the value.
 */
struct seccomp_cond {
	unsigned arg;
	int op;
	uint64_t a, b;
};

/**
 * struct seccomp_when - what has to hold of the arguments, all of it.
 * @text: as a person reads it; NULL: from the conditions.
 */
struct seccomp_when {
	struct seccomp_cond conds[SECCOMP_ARGS];
	size_t count;
	const char *text;
};

/**
 * struct seccomp_rule - a call and what becomes of it. A call without conditions on it is decided
 * by the first such rule; otherwise the first whose conditions hold decides. So does libseccomp,
 * whose order among overlapping conditions is its own, however.
 * @action: SECCOMP_RET_…, with its data.
 * @needs:  the capabilities that brought the rule in, for people.
 */
struct seccomp_rule {
	char *name;
	uint32_t action;
	struct seccomp_when when;
	uint64_t needs;
};

/** struct seccomp_code - a compiled filter; equal ones are one. */
struct seccomp_code {
	atomic_uint refs;
	size_t len;
	struct sock_filter insns[];
};

/**
 * struct seccomp_profile - a profile for one bounding set, with its deltas in it.
 * @filter:   false: nothing is to be loaded.
 * @builtin:  it is the default profile; @rows: of it, those in force.
 * @abis:     bit N: calls of ABI N are decided by the rules; others meet @foreign.
 * @flags:    SECCOMP_FILTER_FLAG_…
 * @unknown:  names that no call of this machine has.
 */
struct seccomp_profile {
	atomic_uint refs;
	bool filter, builtin;
	uint64_t rows;
	unsigned abis;
	uint32_t fallback, foreign;
	uint32_t flags;
	struct seccomp_rule *rules;
	size_t count, room;
	struct strlist unknown;
	struct seccomp_code *code; /* NULL without a filter */
};

/* --- seccomp_names.c: calls, actions and the like, by name --- */

/** seccomp_number() - the call's number, without x32's bit; SECCOMP_NO_CALL where the ABI has none.
 * seccomp_known() - whether any of the three has one. */
int seccomp_number(enum seccomp_abi abi, const char *name);
bool seccomp_known(const char *name);

/** seccomp_name() - the name of the call with that number, without x32's bit. Return: whether it
 * has one. */
bool seccomp_name(enum seccomp_abi abi, int number, char ret[SECCOMP_NAME_LEN]);

/** seccomp_near() - known names that @name may be meant for, with blanks between. "" for none. */
void seccomp_near(const char *name, char *ret, size_t size);

/**
 * seccomp_multiplexed() - i386 has two calls that do the work of many: which of them, and with what
 * in the first argument (socketcall(2): the whole; ipc(2): its lower half), is @name?
 * Return: its number, or SECCOMP_NO_CALL.
 */
int seccomp_multiplexed(const char *name, struct seccomp_cond *ret);

/**
 * struct seccomp_word - a word of a profile and what it means.
 * @takes_errno: of an action: the most that its errnoRet can be.
 * @refused:     NULL, or why it cannot be honoured.
 */
struct seccomp_word {
	const char *name;
	uint32_t value;
	uint32_t takes_errno;
	const char *refused;
};

/* Each ended by a row without a name. */
extern const struct seccomp_word seccomp_actions[];
extern const struct seccomp_word seccomp_ops[];
extern const struct seccomp_word seccomp_flags[];
extern const struct seccomp_word seccomp_arches[]; /* value: 1 << ABI, or 0 for other machines */
const struct seccomp_word *seccomp_word_find(const struct seccomp_word *table, const char *name);

/** seccomp_action_word() - the row of seccomp_actions for a SECCOMP_RET_… . */
const struct seccomp_word *seccomp_action_word(uint32_t action);

/* --- seccomp.c --- */

/** seccomp_add() - append a rule. @when: NULL for none. 0, -ENOMEM, -E2BIG. */
int seccomp_add(struct seccomp_profile *p, const char *name, uint32_t action,
		const struct seccomp_when *when, uint64_t needs, struct ctn_err *err);

/** seccomp_resolve() - as seccomp_profile_get(), for a kernel of the caller's choice and without
 * the cache. */
int seccomp_resolve(const char *text, const struct strlist *deltas, uint64_t caps, uint32_t kernel,
		    struct seccomp_profile **ret, struct ctn_err *err);

/* --- seccomp_default.c --- */

/** seccomp_default_rows() - what of the default profile is in force, as a mask, for a bounding set
 * and a kernel (KERNEL_VERSION()). Equal effect is an equal mask. */
uint64_t seccomp_default_rows(uint64_t caps, uint32_t kernel);
int seccomp_default_add(struct seccomp_profile *p, uint64_t rows, struct ctn_err *err);

/** seccomp_default_row() - the names in row @i, of seccomp_row_count, and the capability that it
 * asks for; NULL where it asks for none. */
const char *const *seccomp_default_row(size_t i, uint64_t *ret_cap);
extern const size_t seccomp_row_count;

/* --- seccomp_json.c --- */

/** seccomp_json_add() - the rules of a JSON profile that are in force. */
int seccomp_json_add(struct seccomp_profile *p, const struct json_at *at, uint64_t caps,
		     uint32_t kernel, struct ctn_err *err);

/* --- seccomp_asked.c --- */

/** seccomp_get() - a member that is there and not null, which says as little as nothing.
 * seccomp_each() - call @fn with each element of the array under @key, if there is one. */
bool seccomp_get(const struct json_at *object, const char *key, struct json_at *ret);
int seccomp_each(const struct json_at *object, const char *key, void *arg,
		 int (*fn)(const struct json_at *at, void *arg, struct ctn_err *err),
		 struct ctn_err *err);

/** seccomp_asked() - is a rule in force for these capabilities and this kernel? @ret_needs: the
 * capabilities that it asks for. */
int seccomp_asked(const struct json_at *rule, uint64_t caps, uint32_t kernel, bool *ret_applies,
		  uint64_t *ret_needs, struct ctn_err *err);

/* --- seccomp_compile.c --- */

/** seccomp_assemble() - compile the rules. -E2BIG when there is no room in BPF_MAXINSNS. */
int seccomp_assemble(const struct seccomp_profile *p, struct seccomp_code **ret,
		     struct ctn_err *err);

#endif
