# SPDX-License-Identifier: Apache-2.0
"""System calls with odd arguments on a descriptor of the mount. Each function takes the descriptor,
a number that everything else follows from, and bytes that may be written; it returns, or raises
OSError. None blocks."""

import ctypes
import errno
import fcntl
import mmap
import os
import select
import struct
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.lseek64.restype = LIBC.pread.restype = LIBC.pwrite.restype = LIBC.write.restype = ctypes.c_ssize_t
ROOM = 16 << 20  # more than any file here has
BUFFER = mmap.mmap(-1, ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
ADDRESS = ctypes.addressof(ctypes.c_char.from_buffer(BUFFER))

OFFSETS = (0, 1, 2, 100, 511, 4095, 4096, 4097, 65535, 131072, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) + 1,
           1 << 40, (1 << 62) - 1, (1 << 63) - 4097, (1 << 63) - 2, (1 << 63) - 1, -1, -4096, -(1 << 63))
SIZES = (0, 1, 2, 3, 7, 100, 511, 4095, 4096, 4097, 65536, 131071, 131072, 1 << 20, (1 << 31) - 1, 1 << 32, 1 << 62)
IOCTLS = (0x541B, 0x5401, 0x5413, 0x80086601, 0x40086602, 0x40049409, 0x6601, 0xC020660B, 0x5421, 0, 0xFFFFFFFF,
          0x8001E500)
FALLOCATE = (0, 1, 2, 3, 8, 0x10, 0x20, 0x40, 0xFF)
FADVISE = (0, 1, 2, 3, 4, 5, 77)


def pick(among, n):
    return among[n % len(among)]


def libc(name, *args):
    r = getattr(LIBC, name)(*args)
    if r < 0:
        raise OSError(ctypes.get_errno(), "%s" % name)
    return r


def i64(n):
    return ctypes.c_longlong(n)


def pread(fd, n, data):
    libc("pread", fd, ctypes.c_void_p(ADDRESS), ctypes.c_size_t(pick(SIZES, n)), i64(pick(OFFSETS, n // 17)))


def read_bad_memory(fd, n, data):
    libc("pread", fd, ctypes.c_void_p(pick((0, 8, 0xFFFF800000000000), n)), ctypes.c_size_t(4096), i64(0))


def readv(fd, n, data):
    os.preadv(fd, [bytearray(k) for k in (1, 0, 7, 4096, pick(SIZES, n) % 70000)], abs(pick(OFFSETS, n // 17)) % (1 << 40),
              pick((0, os.RWF_HIPRI, os.RWF_NOWAIT), n))


def pwrite(fd, n, data):
    libc("pwrite", fd, data, ctypes.c_size_t(len(data)), i64(pick(OFFSETS, n)))


def writev(fd, n, data):
    cut = n % (len(data) + 1)
    os.pwritev(fd, [data[:cut], b"", data[cut:]], 0, pick((0, os.RWF_DSYNC, os.RWF_SYNC, 0x10), n))


def write_bad_memory(fd, n, data):
    libc("write", fd, ctypes.c_void_p(pick((8, 0xFFFF800000000000), n)), ctypes.c_size_t(1 + n % 5000))


def seek(fd, n, data):
    libc("lseek64", fd, i64(pick(OFFSETS, n)), pick((0, 1, 2, 3, 4, 5), n // 23))


def truncate(fd, n, data):
    libc("ftruncate64", fd, i64(pick(OFFSETS, n)))


def allocate(fd, n, data):
    libc("fallocate64", fd, pick(FALLOCATE, n), i64(pick(OFFSETS, n // 9)), i64(pick(OFFSETS, n // 200) or 1))


def lock(fd, n, data):
    fcntl.flock(fd, pick((fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN), n) | fcntl.LOCK_NB)


def record_lock(fd, n, data):
    how = pick((fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_SH | fcntl.LOCK_NB, fcntl.LOCK_UN), n)
    fcntl.lockf(fd, how, n % 100, n % 7)


def lease(fd, n, data):
    """Given back at once: whoever opens the file meanwhile waits for 45 seconds, which is the kernel's alone."""
    fcntl.fcntl(fd, fcntl.F_SETLEASE, pick((fcntl.F_RDLCK, fcntl.F_UNLCK), n))
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def ioctl(fd, n, data):
    fcntl.ioctl(fd, pick(IOCTLS, n), bytes(256))


def flags(fd, n, data):
    keep = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, keep ^ pick((os.O_APPEND, os.O_DIRECT, os.O_NOATIME, os.O_ASYNC), n))
    fcntl.fcntl(fd, fcntl.F_SETFL, keep)


def sync(fd, n, data):
    pick((os.fsync, os.fdatasync), n)(fd)


def advise(fd, n, data):
    os.posix_fadvise(fd, abs(pick(OFFSETS, n // 7)) & ~(1 << 63), n % 5000, pick(FADVISE, n))


def attributes(fd, n, data):
    pick((lambda: os.fchmod(fd, pick((0o600, 0o400, 0o777, 0o4755, 0), n // 5)),
          lambda: os.fchown(fd, pick((0, 1, -1), n // 5), -1),
          lambda: os.utime(fd, ns=(n * 10 ** 9, (n % 1000) * 10 ** 9)),
          lambda: os.utime(fd),
          lambda: os.fstatvfs(fd)), n)()


def extended(fd, n, data):
    name = pick(("user.x", "trusted.x", "security.capability", "system.posix_acl_access", "x", "user." + "y" * 250), n)
    pick((lambda: os.getxattr(fd, name), lambda: os.setxattr(fd, name, data[:100]),
          lambda: os.removexattr(fd, name), lambda: os.listxattr(fd)), n // 6)()


def ready(fd, n, data):
    p = select.poll()
    p.register(fd, select.POLLIN | select.POLLPRI | select.POLLOUT | select.POLLRDHUP)
    p.poll(0)


def ready_by_epoll(fd, n, data):
    with select.epoll() as e:
        e.register(fd, select.EPOLLIN | select.EPOLLET)
        e.poll(0)
        e.poll(0)


def map_it(fd, n, data):
    shared = n & 1
    at = LIBC.mmap(None, ctypes.c_size_t(8192), 1 | (2 if n & 2 else 0), 1 if shared else 2, fd,
                   i64(pick((0, 4096, 1 << 40), n // 4)))
    if at in (-1, 0xFFFFFFFFFFFFFFFF):
        raise OSError(ctypes.get_errno(), "mmap")
    with open(os.devnull, "wb") as null:  # beyond the end is EFAULT for the kernel, and would kill us
        LIBC.write(null.fileno(), ctypes.c_void_p(at), ctypes.c_size_t(8192))
    LIBC.munmap(ctypes.c_void_p(at), ctypes.c_size_t(8192))




def send_out(fd, n, data):
    with tempfile.TemporaryFile() as f:
        os.sendfile(f.fileno(), fd, pick((0, 1, 4096), n), pick(SIZES[:-2], n))


def send_in(fd, n, data):
    with tempfile.TemporaryFile() as f:
        f.write(data)
        f.flush()
        os.sendfile(fd, f.fileno(), 0, len(data))


def with_pipe(use):
    r, w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        use(r, w)
    finally:
        os.close(r)
        os.close(w)


def splice_out(fd, n, data):
    with_pipe(lambda r, w: os.splice(fd, w, 4096, pick((None, 0, 5, 1 << 40), n), None, 2))


def splice_in(fd, n, data):
    def use(r, w):
        os.write(w, data[:4000])
        os.splice(r, fd, len(data[:4000]), None, pick((None, 0, 5), n), 2)
    with_pipe(use)


def copy_out(fd, n, data):
    with tempfile.TemporaryFile() as f:
        os.copy_file_range(fd, f.fileno(), pick(SIZES[:-2], n), pick((0, 1, 4096), n // 15), 0)


def copy_in(fd, n, data):
    with tempfile.TemporaryFile() as f:
        f.write(data)
        f.flush()
        os.copy_file_range(f.fileno(), fd, len(data), 0, pick((0, 1, 4096), n))


def copy_self(fd, n, data):
    os.copy_file_range(fd, fd, 4096, 0, pick((0, 4096, 1 << 40), n))


def link_it(fd, n, data):
    os.link("/proc/self/fd/%d" % fd, "/proc/self/fd/%d/linked" % fd, follow_symlinks=True)


def handle(fd, n, data):
    struct_handle = ctypes.create_string_buffer(struct.pack("Ii", pick((0, 8, 128), n), 0), 8 + 128)
    libc("name_to_handle_at", fd, b"", struct_handle, ctypes.byref(ctypes.c_int()), 0x1000)


class Iocb(ctypes.Structure):
    _fields_ = [("data", ctypes.c_uint64), ("key", ctypes.c_uint32), ("rw", ctypes.c_uint32),
                ("op", ctypes.c_uint16), ("prio", ctypes.c_int16), ("fd", ctypes.c_uint32),
                ("buf", ctypes.c_uint64), ("nbytes", ctypes.c_uint64), ("offset", ctypes.c_int64),
                ("pad", ctypes.c_uint64), ("flags", ctypes.c_uint32), ("resfd", ctypes.c_uint32)]


def aio(fd, n, data):
    """io_submit(2): reads, fsyncs, polls."""
    context = ctypes.c_ulong()
    libc("syscall", 206, 1, ctypes.byref(context))
    try:
        cb = Iocb(op=pick((0, 2, 3, 5, 7), n), fd=fd, buf=ADDRESS, nbytes=pick((1, 4096, 65536), n), offset=pick((0, 4096, 1 << 62), n))
        if cb.op == 5:
            cb.buf, cb.nbytes, cb.offset = select.POLLIN | select.POLLOUT, 0, 0
        libc("syscall", 209, context, ctypes.c_long(1), ctypes.byref(ctypes.pointer(cb)))
    finally:
        LIBC.syscall(207, context)


CALLS = {f.__name__: f for f in (
    pread, read_bad_memory, readv, pwrite, writev, write_bad_memory, seek, truncate, allocate, lock, record_lock, lease, ioctl,
    flags, sync, advise, attributes, extended, ready, ready_by_epoll, map_it, send_out, send_in, splice_out, splice_in,
    copy_out, copy_in, copy_self, link_it, handle, aio)}

# Those that can change what the file says, where it can be written.
WRITING = ("pwrite", "writev", "truncate", "allocate", "send_in", "splice_in", "copy_in", "copy_self", "ioctl")

# What the kernel answers by itself, or we, to requests that make no sense.
ODD_ERRORS = {errno.EINVAL, errno.EFAULT, errno.EOVERFLOW, errno.EFBIG, errno.ENXIO, errno.ESPIPE, errno.ENOTTY, errno.ENODEV,
              errno.EOPNOTSUPP, errno.EXDEV, errno.EBADF, errno.ENODATA, errno.EAGAIN, errno.ETXTBSY, errno.ERANGE,
              errno.ENOTDIR, errno.EISDIR}
