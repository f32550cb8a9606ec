# SPDX-License-Identifier: Apache-2.0
"""The other tools, each told to make as much of a container as it makes by default."""

import glob
import json
import os
import subprocess

SECCOMP = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data",
                       "moby-seccomp-default.json")
CAPS = ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
        "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
        "CAP_SETUID", "CAP_SYS_CHROOT"]
ARCHES = {"x86_64": {"amd64"}, "aarch64": {"arm64"}}
LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def applies(rule):
    """Whether docker would put a rule of its template into a default container's profile."""
    own = ARCHES.get(os.uname().machine, set())
    wanted, refused = rule.get("includes", {}), rule.get("excludes", {})
    if not set(wanted.get("caps", [])) <= set(CAPS) or set(refused.get("caps", [])) & set(CAPS):
        return False
    if wanted.get("arches") and not own & set(wanted["arches"]):
        return False
    return not own & set(refused.get("arches", []))


def docker_seccomp():
    """docker's default profile, in the form that runtimes read."""
    with open(SECCOMP) as f:
        template = json.load(f)
    native = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}.get(os.uname().machine)
    arches = [[a["architecture"]] + (a["subArchitectures"] or []) for a in template["archMap"]
              if a["architecture"] == native]
    keep = ("names", "action", "args", "errnoRet")
    return {"defaultAction": template["defaultAction"],
            "defaultErrnoRet": template["defaultErrnoRet"],
            "architectures": arches[0] if arches else [],
            "syscalls": [{k: rule[k] for k in keep if rule.get(k) is not None}
                         for rule in template["syscalls"] if applies(rule)]}


def root_make(path, first):
    """A root that is the host's /usr and little else."""
    for name in ("usr", "opt", "proc", "sys", "dev", "tmp", "run", "etc"):
        os.makedirs(os.path.join(path, name))
    for name in LINKS:
        if os.path.islink("/" + name):
            os.symlink(os.readlink("/" + name), os.path.join(path, name))
    with open(first, "rb") as src, open(os.path.join(path, "first"), "wb") as dst:
        dst.write(src.read())
    os.chmod(os.path.join(path, "first"), 0o755)


def bundle_make(bundle, root, argv, seccomp):
    os.makedirs(bundle)
    subprocess.run(["runc", "spec"], cwd=bundle, check=True, stderr=subprocess.PIPE)
    path = os.path.join(bundle, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["root"] = {"path": root, "readonly": False}
    config["process"].update(terminal=False, args=argv, cwd="/")
    config["process"]["capabilities"] = {s: CAPS for s in ("bounding", "effective", "permitted")}
    config["mounts"] += [{"destination": d, "source": d, "type": "bind",
                          "options": ["rbind", "ro", "nosuid", "nodev"]} for d in ("/usr", "/opt")]
    config["linux"]["resources"]["pids"] = {"limit": 4096}
    if seccomp:
        config["linux"]["seccomp"] = docker_seccomp()
    with open(path, "w") as f:
        json.dump(config, f)


# --- those that are told all by their arguments. Each gives (a function from a program to the
# arguments, a function to clean up, in each how many rounds it has its turn). ---


def links():
    return [(os.readlink("/" + name), "/" + name) for name in LINKS if os.path.islink("/" + name)]


def bwrap(base, root, first):
    del base, root
    symlinks = [arg for target, path in links() for arg in ("--symlink", target, path)]

    def make(program):
        return (["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr"] + symlinks +
                ["--ro-bind", first, "/first", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", program])
    return make, None, 1


def unshare(base, root, first):
    del base, root

    def make(program):
        return ["unshare", "--user", "--map-root-user", "--mount", "--uts", "--ipc", "--net", "--pid",
                "--cgroup", "--fork", "--mount-proc", first if program == "/first" else program]
    return make, None, 1


def nspawn(base, root, first):
    """It refuses a root with the base name of another's propagation directory that is in use."""
    del base, first

    def make(program):
        return ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2",
                "--private-network", "--machine=ctnfs-bench-%d" % os.getpid(), "-D", root,
                "--bind-ro=/usr", program]
    return make, None, 3


def lxc(base, root, first):
    del first
    place = os.path.join(base, "lxc")
    os.makedirs(place)
    config = os.path.join(place, "config")
    with open(config, "w") as f:
        f.write("lxc.rootfs.path = dir:%s\nlxc.uts.name = bench\nlxc.net.0.type = empty\nlxc.console.path = none\n"
                "lxc.mount.auto = proc sys\nlxc.mount.entry = /usr usr none bind,ro 0 0\n" % root)

    def make(program):
        return ["lxc-start", "-P", place, "-n", "ctnfs-bench-%d" % os.getpid(), "-f", config, "-F", "--",
                program]
    return make, lambda: forget_groups("lxc.pivot"), 1


def podman(base, root, first):
    """crun refuses these hosts with both versions of control groups, and so runc works for it."""
    del first
    place = os.path.join(base, "podman")

    def make(program):
        return ["podman", "--root", place + "/root", "--runroot", place + "/run",
                "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", "runc",
                "run", "--rm", "--network", "none", "--log-driver", "none",
                "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096",
                "--volume", "/usr:/usr:ro", "--rootfs", root, program]

    return make, lambda: forget_groups("libpod_parent"), 3


def bare(base, root, first):
    del base, root
    return lambda program: [first if program == "/first" else program], None, 1


COMMANDS = {"bwrap": bwrap, "unshare": unshare, "lxc-start": lxc, "systemd-nspawn": nspawn,
            "podman + runc": podman, "exec alone": bare}


def forget_groups(name):
    """The empty control groups that they leave behind in each hierarchy."""
    for path in glob.glob("/sys/fs/cgroup/*/" + name) + glob.glob("/sys/fs/cgroup/" + name):
        try:
            os.rmdir(path)
        except OSError:
            pass  # somebody else's, too
