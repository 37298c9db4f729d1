/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/messages.h"

#include "base/macros.h"

/* A row does not know which message it stands in, but a function can: its own typedef. */
#define REQUIRED true
#define OPTIONAL false
#define MESSAGE(N)                                                                       \
	static const struct ipc_field *fields_##N(size_t *n_out)                         \
	{                                                                                \
		typedef struct msg_##N current;                                          \
		static const struct ipc_field fields[] = {
#define F_STR(N, max, need) {#N, offsetof(current, N), max, IPC_TYPE_STR, need},
#define F_NUM(N, max, need) {#N, offsetof(current, N), max, IPC_TYPE_NUM, need},
#define F_FD(N, need)       {#N, offsetof(current, N), 0, IPC_TYPE_FD, need},
#define END(N)                                                                           \
	}                                                                                \
	;                                                                                \
	*n_out = ARRAY_LEN(fields);                                                      \
	return fields;                                                                   \
	}                                                                                \
	const struct ipc_message ipc_##N = {                                             \
		.name = #N, .size = sizeof(struct msg_##N), .fields = fields_##N};
/* clang-format off */
#include "ipc/messages.def"
/* clang-format on */
#undef MESSAGE
#undef F_STR
#undef F_NUM
#undef F_FD
#undef END

#define MESSAGE(N) &ipc_##N,
#define F_STR(N, max, need)
#define F_NUM(N, max, need)
#define F_FD(N, need)
#define END(N)
const struct ipc_message *const ipc_all_messages[] = {
#include "ipc/messages.def"
	NULL,
};
