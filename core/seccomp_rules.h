/* SPDX-License-Identifier: Apache-2.0 */
/* Private to core/seccomp*.c and its test: the rows that the default profile is made of. */
#ifndef CTNFS_CORE_SECCOMP_RULES_H
#define CTNFS_CORE_SECCOMP_RULES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libseccomp's header. Search core/ for quoted names only (-iquote): our own has the same name. */
#include <seccomp.h>

/* The two ways into an x86_64 kernel that a filter lets pass. The third, x32, is refused. */
enum seccomp_abi { SECCOMP_X86_64, SECCOMP_I386, SECCOMP_ABIS };

enum { SECCOMP_NO_CALL = -1, SECCOMP_ANY_ARG = -1 };

/**
 * struct seccomp_when - a condition on one argument of a call.
 * @op: an enum scmp_compare; for SCMP_CMP_MASKED_EQ, @a is the mask and @b the value.
 * @text: the condition as a person reads it.
 */
struct seccomp_when {
	unsigned arg;
	int op;
	uint64_t a, b;
	const char *text;
};

/**
 * struct seccomp_row - what happens to the calls @names (NULL-terminated), on both ABIs.
 * @needs: in force only if the bounding set has this capability (a mask of one bit); 0: always.
 * @lacks: in force only if the bounding set lacks this capability; 0: always.
 * @kernel: in force only from this version on, as KERNEL_VERSION(); 0: always.
 * @when: the argument decides; NULL: whatever the arguments are.
 * @refuse: 0 allows; otherwise the errno instead of the default action's EPERM.
 */
struct seccomp_row {
	const char *const *names;
	uint64_t needs, lacks;
	uint32_t kernel;
	const struct seccomp_when *when;
	int refuse;
};

/**
 * struct seccomp_refusal - a call that is refused before the rows are asked.
 * @number: by ABI; SECCOMP_NO_CALL where the refusal does not apply.
 * @arg: the argument of which the lower 32 bits, all that the kernel looks at, must be @value;
 * SECCOMP_ANY_ARG refuses the call as a whole.
 * @text: the condition as a person reads it.
 */
struct seccomp_refusal {
	const char *name;
	int number[SECCOMP_ABIS];
	int arg;
	uint32_t value;
	int code;
	const char *text;
};

/* Calls that libseccomp 2.5 has no names for; their numbers are the kernel's for ever. */
struct seccomp_young {
	const char *name;
	int number[SECCOMP_ABIS];
};

extern const struct seccomp_row seccomp_rows[];
extern const size_t seccomp_row_count; /* at most 64: a profile is a mask of rows */
extern const struct seccomp_refusal seccomp_refusals[];
extern const size_t seccomp_refusal_count;
extern const struct seccomp_young seccomp_youngs[];
extern const size_t seccomp_young_count;

/** seccomp_default_rows() - the rows in force, bit N for row N, for a bounding set and a kernel.
 * Rows that add nothing to the others are left out, so that equal effect is an equal mask. */
uint64_t seccomp_default_rows(uint64_t caps, uint32_t kernel);

/** struct seccomp_rule - one call and what becomes of it; a name may have several, with different
 * conditions. */
struct seccomp_rule {
	const char *name;
	const struct seccomp_row *row;
};

struct seccomp_profile {
	atomic_uint refs;
	bool filter;   /* false: the profile "none" */
	uint64_t rows; /* of seccomp_rows[], in force */
};

/** seccomp_list_rules() - the rules of @rows, sorted by name, each unconditional one once.
 * Return: to be freed; NULL without memory. */
struct seccomp_rule *seccomp_list_rules(uint64_t rows, size_t *ret_count);

#endif
