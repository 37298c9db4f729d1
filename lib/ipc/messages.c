/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/messages.h"

#include "base/macros.h"

/* A row does not know which message it stands in, but a function can: its own typedef. */
#define REQUIRED true
#define OPTIONAL false
#define MESSAGE(name)                                                                     \
	static const struct ipc_field *fields_##name(size_t *n_out)                       \
	{                                                                                 \
		typedef struct msg_##name current;                                        \
		static const struct ipc_field fields[] = {
#define F_STR(name, max, need) {#name, offsetof(current, name), max, IPC_TYPE_STR, need},
#define F_NUM(name, max, need) {#name, offsetof(current, name), max, IPC_TYPE_NUM, need},
#define F_FD(name, need)       {#name, offsetof(current, name), 0, IPC_TYPE_FD, need},
#define END(name)                                                                         \
	}                                                                                 \
	;                                                                                 \
	*n_out = ARRAY_LEN(fields);                                                       \
	return fields;                                                                    \
	}                                                                                 \
	const struct ipc_message ipc_##name = {                                           \
	    .name = #name, .size = sizeof(struct msg_##name), .fields = fields_##name};
/* clang-format off */
#include "ipc/messages.def"
/* clang-format on */
#undef MESSAGE
#undef F_STR
#undef F_NUM
#undef F_FD
#undef END

#define MESSAGE(name) &ipc_##name,
#define F_STR(name, max, need)
#define F_NUM(name, max, need)
#define F_FD(name, need)
#define END(name)
const struct ipc_message *const ipc_all_messages[] = {
#include "ipc/messages.def"
    NULL,
};
