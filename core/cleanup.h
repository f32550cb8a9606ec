/* SPDX-License-Identifier: Apache-2.0 */
/* Cleanup attributes. A variable that carries one is declared initialised; ownership leaves it
 * through ctn_take_*(). */
#ifndef CTNFS_CORE_CLEANUP_H
#define CTNFS_CORE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void ctn_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void ctn_close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void ctn_close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static inline void ctn_free_ptr(void *p)
{
	free(*(void **)p);
}

static inline int ctn_take_fd_from(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#define ctn_autoclose	  __attribute__((cleanup(ctn_close_fd)))
#define ctn_autoclosefile __attribute__((cleanup(ctn_close_file)))
#define ctn_autoclosedir  __attribute__((cleanup(ctn_close_dir)))
#define ctn_autofree	  __attribute__((cleanup(ctn_free_ptr)))
#define ctn_take_fd(fd)	  ctn_take_fd_from(&(fd))
#define ctn_take_ptr(p)                     \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define CTN_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
