/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The structs and descriptors of messages.def: struct msg_cleanup_hello and
 * ipc_cleanup_hello, and so on. Descriptor fields must be set to -1 where there is none.
 */

#include "ipc/message.h"

#define MESSAGE(N)          struct msg_##N {
#define F_STR(N, max, need) struct str N;
#define F_NUM(N, max, need) int64_t N;
#define F_FD(N, need)       int N;
#define END(N)                                                                           \
	}                                                                                \
	;                                                                                \
	extern const struct ipc_message ipc_##N;
#include "ipc/messages.def"
#undef MESSAGE
#undef F_STR
#undef F_NUM
#undef F_FD
#undef END

/* Every message there is, ended by NULL: for tests, fuzzing and printing. */
extern const struct ipc_message *const ipc_all_messages[];
