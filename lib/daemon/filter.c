/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.def has the calls that are allowed whatever their arguments. Here are those whose
 * arguments decide. libseccomp takes the actions of one call only if their conditions
 * exclude each other, hence the pairs of rules with opposite conditions.
 */
#include "daemon/filter.h"

/* SCMP_A0() and its like leave out a member that is not used. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"

static const struct {
	unsigned group;
	const char *name;
} calls[] = {
#define CALL(group, name) {group, #name},
#define GONE(name)
#include "daemon/calls.def"
#undef CALL
#undef GONE
};

static const char *const gone[] = {
#define CALL(group, name)
#define GONE(name) #name,
#include "daemon/calls.def"
#undef CALL
#undef GONE
};

#if defined(__SANITIZE_ADDRESS__)
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif

/* The filter being built, with a sticky error. */
struct builder {
	scmp_filter_ctx ctx;
	int failed; /* 0 or -errno */
};

static void
rule(struct builder *b, uint32_t action, const char *name, unsigned n,
     const struct scmp_arg_cmp *conditions)
{
	int call = seccomp_syscall_resolve_name(name);
	int r;

	if (call == __NR_SCMP_ERROR || call < 0 || b->failed != 0)
		return;
	r = seccomp_rule_add_array(b->ctx, action, call, n, conditions);
	if (r != 0)
		b->failed = r;
}

static void
rule_if(struct builder *b, uint32_t action, const char *name, struct scmp_arg_cmp cond)
{
	rule(b, action, name, 1, &cond);
}

static void
allow(struct builder *b, const char *name)
{
	rule(b, SCMP_ACT_ALLOW, name, 0, NULL);
}

static void
refuse(struct builder *b, const char *name, int errnum)
{
	rule(b, SCMP_ACT_ERRNO((uint32_t)errnum), name, 0, NULL);
}

/* Opening: refused where the profile has no files, for reading only where it may not
 * change any. Refused rather than fatal: the C library looks for files it can do
 * without. */
static void
rules_open(struct builder *b, const struct profile *p)
{
	/* The leak checker looks at /proc; Landlock sees to the rest. */
	const unsigned reading = CALLS_READ | (is_sanitized ? CALLS_BASE : 0);

	static const unsigned writing[] = {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC};
	const scmp_datum_t any = O_ACCMODE | O_CREAT | O_TRUNC;

	if ((p->calls & CALLS_WRITE) != 0) {
		allow(b, "openat");
		allow(b, "open");
		return;
	}
	if ((p->calls & reading) == 0) {
		refuse(b, "openat", EACCES);
		refuse(b, "open", EACCES);
		refuse(b, "access", EACCES);
		refuse(b, "faccessat", EACCES);
		refuse(b, "faccessat2", EACCES);
		refuse(b, "readlink", EACCES);
		refuse(b, "stat", EACCES);
		return;
	}
	rule_if(b, SCMP_ACT_ALLOW, "openat", SCMP_A2(SCMP_CMP_MASKED_EQ, any, 0));
	rule_if(b, SCMP_ACT_ALLOW, "open", SCMP_A1(SCMP_CMP_MASKED_EQ, any, 0));
	for (size_t i = 0; i < ARRAY_LEN(writing); i++) {
		scmp_datum_t bit = writing[i];

		rule_if(b, SCMP_ACT_ERRNO(EACCES), "openat",
			SCMP_A2(SCMP_CMP_MASKED_EQ, bit, bit));
		rule_if(b, SCMP_ACT_ERRNO(EACCES), "open",
			SCMP_A1(SCMP_CMP_MASKED_EQ, bit, bit));
	}
}

static void
rules_memory(struct builder *b, const struct profile *p)
{
	if ((p->calls & CALLS_CODE) != 0) {
		allow(b, "mmap");
		allow(b, "mprotect");
		return;
	}
	rule_if(b, SCMP_ACT_ALLOW, "mmap", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	rule_if(b, SCMP_ACT_ERRNO(EACCES), "mmap",
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	rule_if(b, SCMP_ACT_ALLOW, "mprotect", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	rule_if(b, SCMP_ACT_ERRNO(EACCES), "mprotect",
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
}

static bool
family_allowed(const struct profile *p, unsigned family)
{
	return family == AF_UNIX ||
	       (p->network != NET_UNIX && (family == AF_INET || family == AF_INET6));
}

/* UNIX sockets of every kind; Internet sockets of the profile's kinds. */
static void
rules_socket(struct builder *b, const struct profile *p)
{
	static const unsigned kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM,
					 SOCK_SEQPACKET};

	for (unsigned family = 0; family <= AF_INET6; family++) {
		struct scmp_arg_cmp cond[2] = {SCMP_A0_32(SCMP_CMP_EQ, family)};

		if (family == AF_UNIX || !family_allowed(p, family)) {
			rule_if(b,
				family == AF_UNIX ? SCMP_ACT_ALLOW
						  : SCMP_ACT_ERRNO(EACCES),
				"socket", cond[0]);
			continue;
		}
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			bool ok = kinds[i] == SOCK_STREAM ||
				  (kinds[i] == SOCK_DGRAM && p->network == NET_DNS);

			cond[1] = SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, kinds[i]);
			rule(b, ok ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES), "socket", 2,
			     cond);
		}
	}
	rule_if(b, SCMP_ACT_ERRNO(EACCES), "socket", SCMP_A0_32(SCMP_CMP_GT, AF_INET6));
}

/* Signals to ourselves only; no processes, threads where the profile has them. */
static void
rules_process(struct builder *b, const struct profile *p)
{
	scmp_datum_t self = (scmp_datum_t)getpid();

	rule_if(b, SCMP_ACT_ALLOW, "kill", SCMP_A0_32(SCMP_CMP_EQ, self));
	rule_if(b, SCMP_ACT_ERRNO(EPERM), "kill", SCMP_A0_32(SCMP_CMP_NE, self));
	rule_if(b, SCMP_ACT_ALLOW, "tgkill", SCMP_A0_32(SCMP_CMP_EQ, self));
	rule_if(b, SCMP_ACT_ALLOW, "prlimit64", SCMP_A2(SCMP_CMP_EQ, 0));
	rule_if(b, SCMP_ACT_ALLOW, "ioctl", SCMP_A1_32(SCMP_CMP_EQ, FIONREAD));
	rule_if(b, SCMP_ACT_ALLOW, "ioctl", SCMP_A1_32(SCMP_CMP_EQ, FIONBIO));
	rule_if(b, SCMP_ACT_ALLOW, "ioctl", SCMP_A1_32(SCMP_CMP_EQ, TCGETS));
	rule_if(b, SCMP_ACT_ALLOW, "prctl", SCMP_A0_32(SCMP_CMP_EQ, PR_SET_NAME));
#if defined(PR_SET_VMA)
	rule_if(b, SCMP_ACT_ALLOW, "prctl", SCMP_A0_32(SCMP_CMP_EQ, PR_SET_VMA));
#endif
	if ((p->calls & CALLS_THREADS) != 0)
		rule_if(b, SCMP_ACT_ALLOW, "clone",
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

/* The leak checker stops the process's threads from a helper that it clones, and looks
 * at them. Only a test build is linked with it. */
static void
rules_sanitizer(struct builder *b UNUSED)
{
#if defined(__SANITIZE_ADDRESS__)
	static const char *const names[] = {"ptrace",   "wait4",      "process_vm_readv",
					    "readlink", "getdents64", "getdents",
					    "tkill"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		allow(b, names[i]);
	rule_if(b, SCMP_ACT_ALLOW, "clone",
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_UNTRACED,
			CLONE_UNTRACED));
	rule_if(b, SCMP_ACT_ALLOW, "prctl", SCMP_A0_32(SCMP_CMP_EQ, PR_SET_DUMPABLE));
	rule_if(b, SCMP_ACT_ALLOW, "prctl", SCMP_A0_32(SCMP_CMP_EQ, PR_GET_DUMPABLE));
	rule_if(b, SCMP_ACT_ALLOW, "prctl", SCMP_A0_32(SCMP_CMP_EQ, PR_SET_PTRACER));
	rule_if(b, SCMP_ACT_ALLOW, "prctl", SCMP_A0_32(SCMP_CMP_EQ, PR_SET_PDEATHSIG));
#endif
}

static void
rules_all(struct builder *b, const struct profile *p)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if ((p->calls & calls[i].group) != 0)
			allow(b, calls[i].name);
	}
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		refuse(b, gone[i], ENOSYS);
	rules_open(b, p);
	rules_memory(b, p);
	rules_socket(b, p);
	rules_process(b, p);
	rules_sanitizer(b);
}

bool
filter_is_available(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

bool
filter_enter(const struct profile *p, struct err *err)
{
	struct builder b = {.ctx = seccomp_init(SCMP_ACT_KILL_PROCESS)};

	if (b.ctx == NULL)
		return err_set(err, ERR_TEMP,
			       "sandbox: cannot make a system call filter");
	/* Calls of another architecture (32 bit, x32) end the process too. */
	b.failed =
		seccomp_attr_set(b.ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	rules_all(&b, p);
	if (b.failed == 0)
		b.failed = seccomp_load(b.ctx);
	seccomp_release(b.ctx);
	if (b.failed == 0)
		return true;
	errno = -b.failed;
	return err_errno(err, ERR_TEMP, "sandbox: system call filter");
}
