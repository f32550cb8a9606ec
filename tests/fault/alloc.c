/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the server: counts what it allocates, by whichever library, while a test says so,
 * and lets the Nth such call fail. The test shares the file that CTNFS_TEST_ALLOC names. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* test_allocations.py has the same. @armed: count. @at: which is to fail; 0: none. @failed: who had
 * asked for it. */
struct control {
	_Atomic uint64_t armed, seen, at, failed;
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

static struct control none, *control = &none;

/* Before there are threads. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CTNFS_TEST_ALLOC");
	const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		control = at;
}

static int fails(const void *caller)
{
	if (!atomic_load(&control->armed) ||
	    atomic_fetch_add(&control->seen, 1) + 1 != atomic_load(&control->at))
		return 0;
	atomic_store(&control->failed, (uintptr_t)caller);
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, bytes);
}

void *aligned_alloc(size_t align, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, size);
}

/* The C library's would hide who asked. */
char *strndup(const char *text, size_t most)
{
	const size_t len = strnlen(text, most);
	char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(len + 1);

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

char *strdup(const char *text)
{
	const size_t size = strlen(text) + 1;
	char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

int posix_memalign(void **ret, size_t align, size_t size)
{
	void *p = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, size);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}
