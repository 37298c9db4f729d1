/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The structs and descriptors of messages.def: struct msg_cleanup_hello and
 * ipc_cleanup_hello, and so on. Descriptor fields must be set to -1 where there is none.
 */

#include "ipc/message.h"

#define MESSAGE(name)          struct msg_##name {
#define F_STR(name, max, need) struct str name;
#define F_NUM(name, max, need) int64_t name;
#define F_FD(name, need)       int name;
#define END(name)                                                                        \
	}                                                                                \
	;                                                                                \
	extern const struct ipc_message ipc_##name;
#include "ipc/messages.def"
#undef MESSAGE
#undef F_STR
#undef F_NUM
#undef F_FD
#undef END

/* Every message there is, ended by NULL: for tests, fuzzing and printing. */
extern const struct ipc_message *const ipc_all_messages[];
