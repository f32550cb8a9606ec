/* SPDX-License-Identifier: Apache-2.0 */
/* ctnfs-attach: the interpreter of the file `attach`. It gets the container's terminal from the
 * monitor and writes what is typed to it; what comes out it reads from the log, at its own pace, so
 * that the container never waits for it, and several see the same. */
#ifndef CTNFS_CORE_MONITOR_ATTACH_H
#define CTNFS_CORE_MONITOR_ATTACH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../err.h"
#include "../wire.h"

/* Exit statuses of its own; else the container's. */
enum { EXIT_DETACHED = 0, EXIT_ATTACH = 125, EXIT_UNKNOWN = 255 };

/* --- attach_keys.c: the keys that detach --- */

enum { KEYS_MAX = 16 };

/** struct keys - @len bytes to look for in what is typed; 0: none. @held: so many of them have come
 * and are kept back. */
struct keys {
	unsigned char bytes[KEYS_MAX];
	size_t len, held;
};

/** keys_parse() - "ctrl-p,ctrl-q": with a comma between, each one character or ctrl- and one of a-z
 * @ [ \ ] ^ _; "" is none. -EINVAL. */
int keys_parse(const char *text, struct keys *ret, struct ctn_err *err);

/** keys_feed() - one more byte was typed. @out gets the bytes that it was no detaching for, which
 * were kept back until now: @ret_n, at most KEYS_MAX. Return: whether it was the last of the keys.
 */
bool keys_feed(struct keys *k, unsigned char byte, unsigned char *out, size_t *ret_n);

/* --- attach_tty.c: the caller's terminal; one a process, since signals have to restore it --- */

/** tty_init() - catch the signals that end, stop or resize. tty_mask() - the signals to be let in
 * while waiting, and only then. */
int tty_init(struct ctn_err *err);
const sigset_t *tty_mask(void);

/** tty_raw() - if standard input is a terminal, it passes on every key from now on. tty_restore() -
 * as it was; also done by every signal that ends us. */
int tty_raw(struct ctn_err *err);
void tty_restore(void);
bool tty_is_raw(void);

/** tty_changed() - whether its size may be another than at the last call. @ret_redraw: we were
 * stopped meanwhile, and others have written on it; then its modes are as they were before that.
 */
bool tty_changed(bool *ret_redraw);

/** tty_size_pass() - give its size to the terminal @master. @redraw: programs there are to draw
 * their screen anew, even if the size is the same. Nothing where the caller has no terminal. */
void tty_size_pass(int master, bool redraw);

/* --- attach_log.c: what comes out --- */

/** struct follow - a reader of a log that grows. @watch: an inotify descriptor, readable when it
 * may have grown; -1: none was to be had. */
struct follow {
	int fd, watch;
	off_t pos;
};

/** follow_begin() - at the last line, if that is not ended, or at most 4 KiB before the end. @fd is
 * taken over. follow_end() - how long the log is now. */
void follow_begin(struct follow *f, int fd);
off_t follow_end(const struct follow *f);

/** follow_read() - the next bytes; those that the bound of the log has cost by now are left out.
 * Return: 0 at the end; -errno. Never blocks. */
ssize_t follow_read(struct follow *f, char *buf, size_t size);

/** follow_woken() - @watch was readable: until the next time. */
void follow_woken(const struct follow *f);

/* --- attach_link.c: the monitor --- */

/**
 * struct link - a connection to the container's monitor.
 * @run:    its run directory. @record: what was there at the start.
 * @sock:   -1 once it has ended. @master: of the container's terminal, nonblocking.
 * @code:   the exit status that the monitor has told; -1: none.
 */
struct link {
	int run, sock, master, code;
	struct wire_status record;
};

/**
 * link_open() - ask for the terminal. @ret_log: the log, to be read.
 * A monitor that was killed gets a successor, and one that still starts its container will be ready
 * soon: that is waited for.
 * Return: 0; -ESRCH (it does not run), -ETIMEDOUT (no answer, or no successor), what the monitor
 * has refused; with a sentence.
 */
int link_open(const char *run, struct link *ret, int *ret_log, struct ctn_err *err);

/** link_reopen() - it ended without the container: the same with its successor. -ESRCH: the
 * container has ended, too. */
int link_reopen(struct link *l, struct ctn_err *err);

/** link_receive() - the socket is readable. Return: whether it goes on; else it is closed. */
bool link_receive(struct link *l);

/** link_code() - the socket has ended: the container's exit status, EXIT_UNKNOWN, or -1: it runs,
 * only the monitor is gone. */
int link_code(const struct link *l);

/* --- attach_relay.c --- */

/**
 * struct relay - what goes on between the two terminals.
 * @in, @out: @in_len bytes for the container, and @out_len for the caller, from @…_off on.
 * @in_end:   nothing comes from standard input any more.
 * @code:     the exit status once the container has ended, else -1; the output up to @last is to
 *            be shown then.
 */
struct relay {
	struct link link;
	struct follow log;
	struct keys keys;
	char in[4096 + KEYS_MAX], out[16 << 10];
	size_t in_off, in_len, out_off, out_len;
	bool in_end, detach;
	bool out_is_terminal; /* its end is a hangup, not a broken pipe */
	int code;
	off_t last;
};

/** relay_run() - until the container ends, or the keys are pressed (@detach). Return: 0 and @code;
 * -errno with a sentence. */
int relay_run(struct relay *r, struct ctn_err *err);

#endif
