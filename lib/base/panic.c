/* SPDX-License-Identifier: Apache-2.0 */
#include "base/panic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

/* One datagram to /dev/log without libc's openlog state; best effort by design. */
static void
tell_syslog(const char *text)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	char line[700];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int n;

	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "<%d>%s[%d]: panic: %s", LOG_MAIL | LOG_CRIT,
		     program_invocation_short_name, (int)getpid(), text);
	if (n > 0)
		IGNORE(sendto(fd, line, (size_t)MIN_OF(n, (int)sizeof(line) - 1), 0,
			      (struct sockaddr *)&to, sizeof(to)) < 0);
	close(fd);
}

void
panic_at(const char *file, int line, const char *format, ...)
{
	char text[600];
	int used = snprintf(text, sizeof(text), "%s:%d: ", file, line);
	va_list ap;

	va_start(ap, format);
	if (used > 0 && (size_t)used < sizeof(text))
		IGNORE(vsnprintf(text + used, sizeof(text) - (size_t)used, format, ap) <
		       0);
	va_end(ap);
	IGNORE(dprintf(STDERR_FILENO, "%s: panic: %s\n", program_invocation_short_name,
		       text) < 0);
	tell_syslog(text);
	abort();
}
