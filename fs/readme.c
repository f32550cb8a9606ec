/* SPDX-License-Identifier: Apache-2.0 */
/* The table as text: `ctnfs --tree`, and the README in the mount. */
#include <string.h>
#include <sys/stat.h>

#include "files.h"

enum { NAME_ROOM = 256, README_WIDTH = 24 };

/* Below the root, or below a container. */
static void print_path(const struct node *node, char ret[NAME_ROOM])
{
	snprintf(ret, NAME_ROOM, "%s%s", node->path[0] ? node->path : ".",
		 S_ISDIR(node->mode) && node->path[0] ? "/" : "");
}

/* From the root. */
static void print_full_path(const struct node *node, char ret[NAME_ROOM])
{
	char path[NAME_ROOM];

	print_path(node, path);
	if (node->flags & N_ROOT)
		snprintf(ret, NAME_ROOM, "%s", path);
	else
		snprintf(ret, NAME_ROOM, "<name>/%.200s", node->path[0] ? path : "");
}

static int widest_path(void)
{
	char path[NAME_ROOM];
	int width = 0;

	for (unsigned row = 1; node_at(row); row++) {
		print_full_path(node_at(row), path);
		if ((int)strlen(path) > width)
			width = (int)strlen(path);
	}
	return width;
}

/* "drwx------", as ls(1) has it. */
static void mode_text(mode_t mode, char ret[11])
{
	static const char letters[] = "rwxrwxrwx";

	ret[0] = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : '-';
	for (int i = 0; i < 9; i++)
		ret[i + 1] = mode & (0400U >> i) ? letters[i] : '-';
	ret[10] = '\0';
}

void tree_print(FILE *out)
{
	int width = widest_path();

	fprintf(out, "%-*s  %-10s  %-7s  %s\n", width, "path", "mode", "when", "what");
	for (unsigned row = 1; node_at(row); row++) {
		const struct node *node = node_at(row);
		char path[NAME_ROOM], mode[11];

		print_full_path(node, path);
		mode_text(node->mode, mode);
		fprintf(out, "%-*s  %s  %-7s  %s\n", width, path, mode, node->when ?: "-",
			node->doc);
	}
}

static const char head[] =
	"Each directory here is a Linux container. All is done with files, and each file says\n"
	"what is so now; of a container that does not run, what it will start with.\n"
	"\n"
	"    mkdir db && cd db                  # a container; its cgroup exists from now on\n"
	"    echo LEVEL=high >> env\n"
	"    echo 64M > memory.limit\n"
	"    echo redis-server > cmd            # starts it, and returns when it has been "
	"executed\n"
	"    cat state pid status ps            # what it is and does\n"
	"    cat caps.sets seccomp ns.list      # what it may do, and what it has of its own\n"
	"    ./exec redis-cli ping              # a program inside, with these streams; ./exec sh\n"
	"    mkdir execs/a                      # one that goes on by itself, with files of its "
	"own\n"
	"    echo 'redis-cli ping' > execs/a/cmd\n"
	"    cat execs/a/wait execs/a/log; rmdir execs/a\n"
	"    tail -f log                        # its output\n"
	"    echo 'stop 5' > ctl                # TERM, and KILL after 5 seconds\n"
	"    cat exit\n"
	"    cd .. && mv db old && rmdir old    # gone, with all that it wrote\n"
	"\n"
	"One job, and its exit code:\n"
	"\n"
	"    mkdir j && echo 'sh -c \"exit 3\"' > j/cmd && read code < j/wait && rmdir j\n"
	"\n"
	"A program in a pipe; `>` is all of its standard input, `>>` leaves that open:\n"
	"\n"
	"    mkdir s; echo sort > s/cmd; cat words > s/stdin; cat s/wait s/log\n"
	"\n"
	"All of it from one document, and all of it as one:\n"
	"\n"
	"    echo '{\"name\": \"w\", \"cmd\": [\"sleep\", \"60\"], \"env\": [\"A=1\"]}' > new\n"
	"    jq '.name=\"w2\"' w/spec > new      # a clone; a config.json will do, or a bundle's "
	"path\n"
	"    sed -i s/A=1/A=2/ w/env            # editors work, too\n"
	"\n"
	"- A refused write fails with an errno; the sentence that says why, and what to do, is "
	"the\n"
	"  last line of the container's `error` (of `error` here, where a container was not "
	"made).\n"
	"- What you read is what you may write back. One value, or one entry a line; blank lines\n"
	"  and lines that begin with # are skipped. `>` replaces a list, `>>` adds to it.\n"
	"- Sizes are bytes, or 64M (K M G T, powers of 1024); max is no limit.\n"
	"- `cmd` takes words, quoted as for a shell, or a JSON array. No shell runs: sh -c '...'.\n"
	"- Reading changes nothing and does not block, except for `wait`.\n"
	"- Containers live on when this file system is unmounted, and are here again when it is\n"
	"  mounted again.\n"
	"\n"
	"When a write takes effect: live: before write(2) returns; next: at the next start, and\n"
	"`pending` shows it until then; stopped: only while it does not run.\n"
	"\n";

/* The last of the rows that follow each other and are of one kind: one line says it for all. */
static const struct node *last_alike(const struct node *node)
{
	const struct node *next = node_at(node_row(node) + 1);

	while (next && strcmp(next->doc, node->doc) == 0) {
		node = next;
		next = node_at(node_row(node) + 1);
	}
	return node;
}

static void print_rows(FILE *out, unsigned of_root)
{
	const struct node *last;

	for (const struct node *node = node_at(ROW_ROOT); node;
	     node = node_at(node_row(last) + 1)) {
		char path[NAME_ROOM];

		last = last_alike(node);
		if ((node->flags & N_ROOT) != of_root)
			continue;
		print_path(node, path);
		if (last != node) {
			strncat(path, " ... ", sizeof(path) - strlen(path) - 1);
			strncat(path, node_name(last), sizeof(path) - strlen(path) - 1);
		}
		fprintf(out, "%-*s %-7s  %s\n", README_WIDTH, path, node->when ?: "", node->doc);
	}
}

void tree_print_readme(FILE *out)
{
	fputs(head, out);
	fputs("Here:\n\n", out);
	print_rows(out, N_ROOT);
	fputs("\nIn each container:\n\n", out);
	print_rows(out, 0);
}

int show_readme(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	(void)ref;
	(void)err;
	tree_print_readme(out);
	return 0;
}
