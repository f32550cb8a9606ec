/* SPDX-License-Identifier: Apache-2.0 */
/* What a fuzz target is: fuzz_NAME.c defines the function, tests/fuzz/corpus/NAME/ has its inputs.
 */
#ifndef CTNFS_TESTS_FUZZ_FUZZ_H
#define CTNFS_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** LLVMFuzzerTestOneInput() - libFuzzer's entry: one input, without a NUL behind it. Return: 0.
 * What must not be is FUZZ_CHECK()ed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(cond)                                                                     \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                             \
		}                                                                            \
	} while (0)

#endif
