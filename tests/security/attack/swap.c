/* SPDX-License-Identifier: Apache-2.0 */
/* The attacker of N05 and its like: exchanges a name in the current directory with others, one
 * after the other, as fast as it can. Ends on SIGTERM with a line of counts.
 *
 *     swap NAME OTHER... */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EXCHANGE = 2, TURN = 40 }; /* RENAME_EXCHANGE; an even number puts both back */

static volatile sig_atomic_t over;

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

int main(int argc, char **argv)
{
	struct sigaction term = {.sa_handler = on_term};
	unsigned long swaps = 0, failed = 0;

	if (argc < 3)
		return 2;
	sigaction(SIGTERM, &term, NULL);
	dprintf(1, "READY\n");
	for (int at = 2; !over; at = at + 1 < argc ? at + 1 : 2) {
		for (int i = 0; i < TURN; i++) {
			long r = syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[at],
					 EXCHANGE);

			swaps += r == 0;
			failed += r != 0;
		}
	}
	dprintf(1, "END swaps=%lu failed=%lu\n", swaps, failed);
	return 0;
}
