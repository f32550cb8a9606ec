/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of the runtime-spec that are refused for their root object, process or namespaces. And
 * values that say nothing, which are not. */
#include "oci_bad.h"

static const struct bad rows[] = {
	/* the root object */
	{WHOLE, "{\"ociVersion\": \"2.0.0\"}", EINVAL, "ociVersion", "2.0.0"},
	{WHOLE, "{\"ociVersion\": \"1.0\"}", EINVAL, "ociVersion", "1.0"},
	{WHOLE, "{\"ociVersion\": \"01.0.0\"}", EINVAL, "ociVersion", "01.0.0"},
	{WHOLE, "{\"ociVersion\": \"1.0.0-\"}", EINVAL, "ociVersion", "1.0.0-"},
	{WHOLE, "{\"ociVersion\": \"1.0.0 \"}", EINVAL, "ociVersion", "1.0.0 "},
	{WHOLE, "{\"ociVersion\": 1}", EINVAL, "ociVersion", "string"},
	{WHOLE, "{\"ociVersion\": null}", EINVAL, "", "ociVersion is missing"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\"}", EINVAL, "", "root is missing"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/r\"}}", EINVAL, "",
	 "mount namespace"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": []}", EINVAL, "root", "object"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {}}", EINVAL, "root", "path is missing"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"r\"}}", EINVAL, "root.path",
	 "no bundle"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"\"}}", EINVAL, "root.path",
	 "empty"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/\"}}", EINVAL, "root.path",
	 "rootfs"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/a/../..\"}}", EINVAL,
	 "root.path", "rootfs"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/a\\nb\"}}", EINVAL,
	 "root.path", "line break"},
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/r\", \"readonly\": 1}}",
	 EINVAL, "root.readonly", "true or false"},
	{ROOT, "\"hostname\": 5", EINVAL, "hostname", "string"},
	{ROOT, "\"hostname\": \"a b\"", EINVAL, "hostname", "letters"},
	{ROOT, "\"hostname\": \"-a\"", EINVAL, "hostname", "-a"},
	{ROOT, "\"hostname\": \"#a\"", EINVAL, "hostname", ""},
	{ROOT, "\"domainname\": \"a/b\"", EINVAL, "domainname", "a/b"},
	{ROOT, "\"hooks\": {\"poststop\": [{\"path\": \"/x\"}]}", EOPNOTSUPP, "hooks", "not run"},
	{ROOT, "\"hooks\": {\"createRuntime\": [{}]}", EOPNOTSUPP, "hooks", "not run"},
	{ROOT, "\"windows\": {\"layerFolders\": [\"c\"]}", EOPNOTSUPP, "windows", "another system"},
	{ROOT, "\"vm\": {\"kernel\": {\"path\": \"/k\"}}", EOPNOTSUPP, "vm", "another system"},
	{ROOT, "\"solaris\": {\"limitpriv\": \"x\"}", EOPNOTSUPP, "solaris", "another system"},
	{ROOT, "\"zos\": {\"namespaces\": [1]}", EOPNOTSUPP, "zos", "another system"},
	{ROOT, "\"freebsd\": {\"jail\": {\"host\": \"new\"}}", EOPNOTSUPP, "freebsd", ""},
	{ROOT, "\"annotations\": {\"org.ctnfs.name\": \"a/b\"}", EINVAL,
	 "annotations.\"org.ctnfs.name\"", "a/b"},
	{ROOT, "\"annotations\": {\"org.ctnfs.name\": \"events\"}", EINVAL, "org.ctnfs.name",
	 "tree itself"},
	{ROOT, "\"annotations\": {\"a\": 1}", EINVAL, "annotations.a", "string"},
	{ROOT, "\"annotations\": {\"a=b\": \"c\"}", EINVAL, "annotations.", "="},
	{ROOT, "\"annotations\": {\"\": \"c\"}", EINVAL, "annotations.", "empty"},
	/* process */
	{WHOLE, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/r\"}, \"process\": {}}",
	 EINVAL, "process", "cwd is missing"},
	{PROCESS, "\"args\": \"sh\"", EINVAL, "process.args", "array"},
	{PROCESS, "\"args\": [5]", EINVAL, "process.args", ""},
	{PROCESS, "\"env\": [\"A\"]", EINVAL, "process.env[0]", "KEY=value"},
	{PROCESS, "\"env\": [\"A=1\", \"-B=1\"]", EINVAL, "process.env[1]", "-B=1"},
	{PROCESS, "\"env\": [\"#A=1\"]", EINVAL, "process.env[0]", "#A=1"},
	{PROCESS, "\"env\": [\" A=1\"]", EINVAL, "process.env[0]", "KEY=value"},
	{PROCESS, "\"env\": [\"=1\"]", EINVAL, "process.env[0]", "KEY=value"},
	{PROCESS, "\"env\": [\"\"]", EINVAL, "process.env[0]", "KEY=value"},
	{PROCESS, "\"env\": [\"A\\nB=1\"]", EINVAL, "process.env[0]", ""},
	{PROCESS, "\"env\": [{}]", EINVAL, "process.env[0]", "string"},
	{PROCESS, "\"cwd\": \"srv\"", EINVAL, "process.cwd", "absolute"},
	{PROCESS, "\"cwd\": \"/a \"", EINVAL, "process.cwd", "blank"},
	{PROCESS, "\"cwd\": \"/a\\n/b\"", EINVAL, "process.cwd", "line break"},
	{PROCESS, "\"terminal\": \"yes\"", EINVAL, "process.terminal", "true or false"},
	{PROCESS, "\"consoleSize\": {\"height\": 5}", EINVAL, "process.consoleSize", "width"},
	{PROCESS, "\"consoleSize\": {\"height\": 5, \"width\": 65536}", EINVAL,
	 "process.consoleSize.width", "65535"},
	{PROCESS, "\"user\": {\"uid\": -1}", EINVAL, "process.user.uid", "-1"},
	{PROCESS, "\"user\": {\"uid\": 4294967295}", EINVAL, "process.user.uid", "4294967294"},
	{PROCESS, "\"user\": {\"gid\": \"0\"}", EINVAL, "process.user.gid", "number"},
	{PROCESS, "\"user\": {\"gid\": 1.0}", EINVAL, "process.user.gid", "whole number"},
	{PROCESS, "\"user\": {\"umask\": 512}", EINVAL, "process.user.umask", "511"},
	{PROCESS, "\"user\": {\"additionalGids\": [0, -1]}", EINVAL,
	 "process.user.additionalGids[1]", "-1"},
	{PROCESS, "\"user\": 0", EINVAL, "process.user", "object"},
	{PROCESS, "\"capabilities\": []", EINVAL, "process.capabilities", "object"},
	{PROCESS, "\"capabilities\": {\"bounding\": [\"CAP_FLY\"]}", EINVAL,
	 "process.capabilities.bounding[0]", "FLY"},
	{PROCESS, "\"capabilities\": {\"bounding\": [\"all\"]}", EINVAL,
	 "process.capabilities.bounding[0]", "all"},
	{PROCESS, "\"capabilities\": {\"ambient\": [\"-CAP_KILL\"]}", EINVAL,
	 "process.capabilities.ambient[0]", "-CAP_KILL"},
	{PROCESS, "\"capabilities\": {\"permitted\": [\"0xff\"]}", EINVAL,
	 "process.capabilities.permitted[0]", "0xff"},
	{PROCESS, "\"capabilities\": {\"inheritable\": \"CAP_KILL\"}", EINVAL,
	 "process.capabilities.inheritable", "array"},
	{PROCESS, "\"capabilities\": {\"effective\": [\"CAP_KILL\"]}", EINVAL,
	 "process.capabilities", "cap_kill"},
	{PROCESS, "\"capabilities\": {\"permitted\": [\"CAP_KILL\"]}", EINVAL,
	 "process.capabilities", "not in bounding"},
	{PROCESS, "\"rlimits\": [{\"type\": \"RLIMIT_X\", \"soft\": 1, \"hard\": 1}]", EINVAL,
	 "process.rlimits[0]", "RLIMIT_X"},
	{PROCESS, "\"rlimits\": [{\"type\": \"nofile\", \"soft\": 1, \"hard\": 1}]", EINVAL,
	 "process.rlimits[0].type", "RLIMIT_"},
	{PROCESS, "\"rlimits\": [{\"type\": \"RLIMIT_CPU 5\", \"soft\": 1, \"hard\": 1}]", EINVAL,
	 "process.rlimits[0].type", ""},
	{PROCESS, "\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 2, \"hard\": 1}]", EINVAL,
	 "process.rlimits[0]", "soft limit"},
	{PROCESS, "\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 2}]", EINVAL,
	 "process.rlimits[0]", "hard is missing"},
	{PROCESS, "\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": -1, \"hard\": 1}]", EINVAL,
	 "process.rlimits[0].soft", "-1"},
	{PROCESS,
	 "\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}, {\"type\": "
	 "\"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}]",
	 EINVAL, "process.rlimits[1]", "already"},
	{PROCESS, "\"noNewPrivileges\": 1", EINVAL, "process.noNewPrivileges", "true or false"},
	{PROCESS, "\"oomScoreAdj\": 1001", EINVAL, "process.oomScoreAdj", "1000"},
	{PROCESS, "\"apparmorProfile\": \"x\"", EOPNOTSUPP, "process.apparmorProfile", "AppArmor"},
	{PROCESS, "\"selinuxLabel\": \"x\"", EOPNOTSUPP, "process.selinuxLabel", "SELinux"},
	{PROCESS, "\"execCPUAffinity\": {\"initial\": \"0\"}", EOPNOTSUPP,
	 "process.execCPUAffinity", "cpus"},
	{PROCESS, "\"commandLine\": \"x\"", EOPNOTSUPP, "process.commandLine", "args"},
	{PROCESS, "\"scheduler\": {}", EINVAL, "process.scheduler", "policy is missing"},
	{PROCESS, "\"scheduler\": {\"policy\": \"SCHED_ISO\"}", EOPNOTSUPP,
	 "process.scheduler.policy", "SCHED_ISO"},
	{PROCESS, "\"scheduler\": {\"policy\": \"FIFO\"}", EINVAL, "process.scheduler.policy",
	 "SCHED_FIFO"},
	{PROCESS, "\"scheduler\": {\"policy\": \"SCHED_FIFO\"}", EINVAL, "process.scheduler",
	 "priority"},
	{PROCESS, "\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"priority\": 1}", EINVAL,
	 "process.scheduler", "priority"},
	{PROCESS, "\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"nice\": 20}", EINVAL,
	 "process.scheduler.nice", "19"},
	{PROCESS, "\"scheduler\": {\"policy\": \"SCHED_IDLE\", \"nice\": 5}", EINVAL,
	 "process.scheduler", "nice"},
	{PROCESS, "\"scheduler\": {\"policy\": \"SCHED_DEADLINE\"}", EINVAL, "process.scheduler",
	 "runtime"},
	{PROCESS, "\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"runtime\": 1}", EINVAL,
	 "process.scheduler", "runtime"},
	{PROCESS, "\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"flags\": [\"X\"]}", EINVAL,
	 "process.scheduler.flags[0]", "SCHED_FLAG_RECLAIM"},
	{PROCESS,
	 "\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"flags\": "
	 "[\"SCHED_FLAG_UTIL_CLAMP_MIN\"]}",
	 EOPNOTSUPP, "process.scheduler.flags[0]", "CLAMP"},
	{PROCESS, "\"ioPriority\": {\"priority\": 1}", EINVAL, "process.ioPriority", "class"},
	{PROCESS, "\"ioPriority\": {\"class\": \"RT\"}", EINVAL, "process.ioPriority.class",
	 "IOPRIO_CLASS_RT"},
	{PROCESS, "\"ioPriority\": {\"class\": \"IOPRIO_CLASS_RT\", \"priority\": 8}", EINVAL,
	 "process.ioPriority.priority", "8"},
	/* namespaces and ids */
	{NAMESPACES, "{}", EINVAL, "linux.namespaces[5]", "type is missing"},
	{NAMESPACES, "{\"type\": \"net\"}", EINVAL, "linux.namespaces[5].type", "network"},
	{NAMESPACES, "{\"type\": \"pid\"}", EINVAL, "linux.namespaces[5].type", "already"},
	{NAMESPACES, "{\"type\": \"user\", \"path\": \"proc/1\"}", EINVAL,
	 "linux.namespaces[5].path", "absolute"},
	{NAMESPACES, "{\"type\": \"user\", \"path\": \"/a\\n/b\"}", EINVAL,
	 "linux.namespaces[5].path", "line break"},
	{NAMESPACES, "5", EINVAL, "linux.namespaces[5]", "object"},
	{LINUX, "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 1}]", EINVAL,
	 "linux.uidMappings", "user namespace"},
	{LINUX, "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 0}]", EINVAL,
	 "linux.uidMappings", "no ids"},
	{LINUX, "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0}]", EINVAL,
	 "linux.uidMappings[0]", "size is missing"},
	{LINUX, "\"gidMappings\": [{\"containerID\": 0, \"hostID\": 4294967295, \"size\": 1}]",
	 EINVAL, "linux.gidMappings", "last id"},
	{LINUX, "\"gidMappings\": [{\"containerID\": -1, \"hostID\": 0, \"size\": 1}]", EINVAL,
	 "linux.gidMappings[0].containerID", "-1"},
	{LINUX,
	 "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 9}, {\"containerID\": "
	 "20, \"hostID\": 8, \"size\": 9}]",
	 EINVAL, "linux.uidMappings", "overlap"},
	{LINUX,
	 "\"uidMappings\": [{\"containerID\": 5, \"hostID\": 0, \"size\": 9}, {\"containerID\": "
	 "0, \"hostID\": 80, \"size\": 6}]",
	 EINVAL, "linux.uidMappings", "overlap"},
	{LINUX, "\"uidMappings\": [{\"containerID\": 1, \"hostID\": 1, \"size\": 1}]", EINVAL,
	 "linux.uidMappings", "nobody is 0"},
	{NAMESPACES,
	 "{\"type\": \"user\"}], \"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, "
	 "\"size\": 1}",
	 EINVAL, "linux.uidMappings", "belong together"},
	{NAMESPACES,
	 "{\"type\": \"time\", \"path\": \"/p\"}], \"timeOffsets\": {\"boottime\": {}}, "
	 "\"zz\": [5",
	 EINVAL, "linux.timeOffsets", "new time namespace"},
};

static void test_rows(void)
{
	check_rows(rows, CTN_COUNT(rows));
}

/* Nothing is asked for by these, and unknown ones are ignored. */
static const struct {
	enum place place;
	const char *text;
} silent[] = {
	{ROOT, "\"hooks\": {\"prestart\": [], \"poststop\": null}, \"vm\": null, \"windows\": {}"},
	{ROOT, "\"hostname\": \"\", \"domainname\": \"\", \"annotations\": {}"},
	{ROOT, "\"new\": {\"property\": [1, \"x\"]}"},
	{PROCESS, "\"args\": [], \"env\": [], \"rlimits\": [], \"capabilities\": {}"},
	{PROCESS, "\"args\": null, \"user\": {\"username\": \"u\", \"umask\": null}"},
	{PROCESS, "\"apparmorProfile\": \"\", \"selinuxLabel\": \"\", \"execCPUAffinity\": {}"},
	{PROCESS, "\"scheduler\": null, \"ioPriority\": null, \"oomScoreAdj\": 0, \"x\": 5"},
	{LINUX, "\"uidMappings\": [], \"gidMappings\": null, \"sysctl\": {}, \"devices\": []"},
	{LINUX, "\"seccomp\": null, \"intelRdt\": {\"closID\": \"\"}, \"netDevices\": {}"},
	{LINUX, "\"timeOffsets\": {}, \"rootfsPropagation\": \"\", \"cgroupsPath\": \"\""},
	{LINUX, "\"personality\": {\"domain\": \"LINUX\", \"flags\": []}, \"zz\": {}"},
	{LINUX, "\"resources\": null, \"mountLabel\": \"\""},
	{RESOURCES, "\"memory\": {\"limit\": 0, \"swap\": 0, \"swappiness\": null, \"kernel\": 0}"},
	{RESOURCES, "\"cpu\": {\"shares\": 0, \"quota\": 0, \"period\": 0, \"cpus\": \"\"}"},
	{RESOURCES, "\"pids\": {\"limit\": 0}, \"blockIO\": {\"weight\": 0}, \"rdma\": {}"},
	{RESOURCES, "\"hugepageLimits\": [], \"network\": {\"priorities\": []}, \"unified\": {}"},
	{RESOURCES, "\"devices\": [{\"allow\": false, \"type\": \"c\", \"major\": 1}], \"zz\": 1"},
	{NAMESPACES, "{\"type\": \"user\", \"path\": null}"},
};

static void test_silence(void)
{
	ctn_autofree char *bare = document(ROOT, "");
	struct spec *plain = NULL;

	CHECK_ERR(import_text(bare, NULL, &plain, &check_err), 0, "");
	for (size_t i = 0; plain && i < CTN_COUNT(silent); i++) {
		ctn_autofree char *text = document(silent[i].place, silent[i].text);
		struct spec *s = NULL;

		CHECK_ERR(import_text(text, NULL, &s, &check_err), 0, "");
		for (const struct spec_field *f = spec_fields; s && f->name; f++) {
			if (silent[i].place != NAMESPACES)
				CHECK_STR(text_of(s, f->name), text_of(plain, f->name));
		}
		if (s)
			CHECK_STR(knobs_of(s), "pids.max max\n");
		spec_put(s);
	}
	spec_put(plain);
}

static void test_long(void)
{
	ctn_autofree char *path = calloc(1, 5000), *text = NULL;
	struct spec *s = NULL;

	memset(path, 'a', 4999);
	CHECK(asprintf(&text, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/%s\"}}", path) >
	      0);
	CHECK_ERR(import_text(text, NULL, &s, &check_err), ENAMETOOLONG, "root.path");
}

static const struct check_test tests[] = {
	{"documents that are refused", test_rows},
	{"values that say nothing", test_silence},
	{"a path that is too long", test_long},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
