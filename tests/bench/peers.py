# SPDX-License-Identifier: Apache-2.0
"""The other tools, each told to make as much of a container as it makes by default."""

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
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
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


def bwrap(program, first):
    links = [arg for name in LINKS if os.path.islink("/" + name)
             for arg in ("--symlink", os.readlink("/" + name), "/" + name)]
    return (["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr"] + links +
            ["--ro-bind", first, "/first", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", program])


def unshare(program, first):
    return ["unshare", "--user", "--map-root-user", "--mount", "--uts", "--ipc", "--net", "--pid",
            "--cgroup", "--fork", "--mount-proc", first if program == "/first" else program]
