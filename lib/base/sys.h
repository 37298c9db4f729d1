/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The system-call seam. Code that touches the disk, the network, the clock or processes
 * calls sys_<name>() (rows in sys.def), never the C library's function directly.
 *
 * In a normal build each is the system call. With HIKYAKU_FAULTS (test builds) the
 * environment variable HIKYAKU_FAULT makes the n-th call of a program go wrong:
 *
 *	HIKYAKU_FAULT=PROGRAM:CALL:N:ACTION[:once|on]
 *
 * PROGRAM is argv[0]'s last part or *; CALL a name from sys.def or *; N counts from 1
 * in each process; ACTION is kill (before the call), killed (after it), short (one byte),
 * or an error name: EIO ENOSPC EDQUOT EINTR EROFS EMFILE ENFILE EACCES EAGAIN ENOMEM
 * ECONNRESET. `on` repeats the error from the n-th call on. HIKYAKU_FAULT_COUNT=FILE
 * appends "PROGRAM N" when the process exits, N being its number of calls that matched.
 */

#include <spawn.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define SYS(result, name, params, args) result sys_##name params;
#include "base/sys.def"
#undef SYS

/* Wall clock: microseconds since 1970-01-01 00:00 UTC. */
int64_t sys_now_us(void);
/* Monotonic clock: milliseconds since some moment in the past. */
int64_t sys_mono_ms(void);
/* Monotonic clock: microseconds since some moment in the past. */
int64_t sys_mono_us(void);
