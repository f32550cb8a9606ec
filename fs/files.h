/* SPDX-License-Identifier: Apache-2.0 */
/* The show functions of the table's rows, by theme. */
#ifndef CTNFS_FS_FILES_H
#define CTNFS_FS_FILES_H

#include "node.h"

typedef int node_show(const struct node_ref *ref, FILE *out, struct ctn_err *err);

/* files_state.c */
node_show show_state, show_status, show_pending, show_pid, show_id, show_exit, show_error, show_ps;
node_show show_root_error, show_root_status;

/* files_stats.c */
node_show show_stats, show_metrics;

/* readme.c */
node_show show_readme;

/* documents.c */
node_show show_new, show_spec, show_config_json;

/* scratch.c */
node_show show_scratch;

/* files_config.c */
node_show show_field, show_seccomp, show_denied, show_ns_list, show_caps_sets;

/* files_cgroup.c */
node_show show_knob, show_events, show_raw_link;

/* files_exec.c: @arg is the name of the program, which is run as PROGRAM RUNDIR FILE ARGUMENT… */
node_show show_exec_script;

/* files_links.c */
node_show show_target, show_ns_link, show_proc_link, show_own_link, show_layer_link;

/* links_ns.c */
node_show show_ns_scratch;

#endif
