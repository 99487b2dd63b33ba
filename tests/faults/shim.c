/* Fails the n-th call that writes to a disk: loaded into a process with LD_PRELOAD, idle until it is armed.

   Counted are write-side calls on regular files and folders only, in whatever thread and from whatever library they
   come, SQLite included. Pipes and sockets are left alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum mode { OFF, COUNT, KILL, CUT, EIO_ONCE, EIO_FOR_EVER, FULL, SHORT };

#define EXT4_SHUTDOWN _IOR('X', 125, unsigned int)
#define WITHOUT_FLUSHING_THE_LOG 2u

static long calls, target;
static int mode, mounts[2] = {-1, -1};

void fault_arm(int wanted, long nth, int first_mount, int second_mount)
{
	calls = 0;
	target = nth;
	mounts[0] = first_mount;
	mounts[1] = second_mount;
	mode = wanted;
}

long fault_calls(void)
{
	return __atomic_load_n(&calls, __ATOMIC_SEQ_CST);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static void cut_power(void)
{
	unsigned int how = WITHOUT_FLUSHING_THE_LOG;
	for (int i = 0; i < 2; i++)
		if (mounts[i] >= 0)
			ioctl(mounts[i], EXT4_SHUTDOWN, &how);
	die();
}

/* What this call is to end with: 0 nothing, or an errno. `*less` is set where it is to be cut short. */
static int strike(int takes_room, int *less)
{
	if (mode == OFF)
		return 0;
	long n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
	switch (mode) {
	case KILL:
		if (n >= target)
			die();
		return 0;
	case CUT:
		if (n >= target)
			cut_power();
		return 0;
	case EIO_ONCE:
		return n == target ? EIO : 0;
	case EIO_FOR_EVER:
		return n >= target ? EIO : 0;
	case FULL:
		return n >= target && takes_room ? ENOSPC : 0;
	case SHORT:
		*less = n == target;
	}
	return 0;
}

static int on_disk(int fd)
{
	struct stat status;
	int before = errno;
	int known = mode != OFF && fstat(fd, &status) == 0;
	errno = before;
	return known && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

#define REAL(type, name, ...)                                                                                          \
	static type (*real)(__VA_ARGS__);                                                                              \
	if (!real)                                                                                                     \
		real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define FAIL(code)                                                                                                     \
	do {                                                                                                           \
		errno = code;                                                                                          \
		return -1;                                                                                             \
	} while (0)

#define GUARD(counts, takes_room)                                                                                      \
	int error = 0, less = 0;                                                                                       \
	if (counts)                                                                                                    \
		error = strike(takes_room, &less);                                                                     \
	(void)less;                                                                                                    \
	if (error)                                                                                                     \
	FAIL(error)

ssize_t write(int fd, const void *bytes, size_t size)
{
	REAL(ssize_t, "write", int, const void *, size_t);
	GUARD(on_disk(fd), 1);
	return real(fd, bytes, less && size > 1 ? size / 2 : size);
}

#define PWRITE(name, offset_type)                                                                                      \
	ssize_t name(int fd, const void *bytes, size_t size, offset_type offset)                                       \
	{                                                                                                              \
		REAL(ssize_t, #name, int, const void *, size_t, offset_type);                                          \
		GUARD(on_disk(fd), 1);                                                                                 \
		return real(fd, bytes, less && size > 1 ? size / 2 : size, offset);                                    \
	}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ON_FD(name)                                                                                                    \
	int name(int fd)                                                                                               \
	{                                                                                                              \
		REAL(int, #name, int);                                                                                 \
		GUARD(on_disk(fd), 0);                                                                                 \
		return real(fd);                                                                                       \
	}
ON_FD(fsync)
ON_FD(fdatasync)
ON_FD(syncfs)

#define TRUNCATE(name, offset_type)                                                                                    \
	int name(int fd, offset_type size)                                                                             \
	{                                                                                                              \
		REAL(int, #name, int, offset_type);                                                                    \
		GUARD(on_disk(fd), 0);                                                                                 \
		return real(fd, size);                                                                                 \
	}
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to)
{
	REAL(int, "rename", const char *, const char *);
	GUARD(1, 1);
	return real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	REAL(int, "renameat", int, const char *, int, const char *);
	GUARD(1, 1);
	return real(from_folder, from, to_folder, to);
}

int link(const char *from, const char *to)
{
	REAL(int, "link", const char *, const char *);
	GUARD(1, 1);
	return real(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
	REAL(int, "linkat", int, const char *, int, const char *, int);
	GUARD(1, 1);
	return real(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path)
{
	REAL(int, "unlink", const char *);
	GUARD(1, 0);
	return real(path);
}

int unlinkat(int folder, const char *path, int flags)
{
	REAL(int, "unlinkat", int, const char *, int);
	GUARD(1, 0);
	return real(folder, path, flags);
}

int mkdir(const char *path, mode_t permissions)
{
	REAL(int, "mkdir", const char *, mode_t);
	GUARD(1, 1);
	return real(path, permissions);
}

int mkdirat(int folder, const char *path, mode_t permissions)
{
	REAL(int, "mkdirat", int, const char *, mode_t);
	GUARD(1, 1);
	return real(folder, path, permissions);
}

static mode_t permissions_in(int flags, va_list arguments)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                                     \
	int name(const char *path, int flags, ...)                                                                     \
	{                                                                                                              \
		REAL(int, #name, const char *, int, ...);                                                              \
		va_list arguments;                                                                                     \
		va_start(arguments, flags);                                                                            \
		mode_t permissions = permissions_in(flags, arguments);                                                 \
		va_end(arguments);                                                                                     \
		GUARD(flags &O_CREAT, 1);                                                                              \
		return real(path, flags, permissions);                                                                 \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
	int name(int folder, const char *path, int flags, ...)                                                         \
	{                                                                                                              \
		REAL(int, #name, int, const char *, int, ...);                                                         \
		va_list arguments;                                                                                     \
		va_start(arguments, flags);                                                                            \
		mode_t permissions = permissions_in(flags, arguments);                                                 \
		va_end(arguments);                                                                                     \
		GUARD(flags &O_CREAT, 1);                                                                              \
		return real(folder, path, flags, permissions);                                                         \
	}
OPENAT(openat)
OPENAT(openat64)
