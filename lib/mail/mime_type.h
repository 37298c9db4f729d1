/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The values of Content-Type and Content-Transfer-Encoding (RFC 2045 sections 5 and 6),
 * as far as the structure of a message depends on them. Broken values are read as far as
 * they make sense; nothing is refused.
 */

#include "base/str.h"

struct arena;

enum mime_type {
	MIME_TYPE_OTHER,
	MIME_TYPE_TEXT,
	MIME_TYPE_MESSAGE, /* rfc822 and global: a message with a header of its own */
	MIME_TYPE_MESSAGE_PART, /* any other message type */
	MIME_TYPE_MULTIPART,
	MIME_TYPE_DIGEST, /* multipart/digest: its parts are messages by default */
};

enum mime_encoding {
	MIME_7BIT,
	MIME_8BIT,
	MIME_BINARY,
	MIME_ENCODED, /* quoted-printable, base64 and unknown ones */
};

struct mime_content {
	enum mime_type type;
	struct str boundary; /* in the arena; empty: none */
};

struct mime_content mime_content_parse(struct arena *mem, struct str value);

enum mime_encoding mime_encoding_parse(struct arena *mem, struct str value);
