/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the virtual machine: its isa-debug-exit device makes QEMU exit with 2 * status + 1. The
 * cloud kernel has no /dev/port, hence a program. */
#include <stdlib.h>
#include <sys/io.h>

enum { PORT = 0xf4 };

int main(int argc, char **argv)
{
	if (argc != 2 || ioperm(PORT, 1, 1) < 0)
		return 1;
	outb((unsigned char)atoi(argv[1]), PORT);
	return 1; /* not reached where there is such a device */
}
