/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands built with sanitizers. They end as soon as their work is done, or cannot be,
 * and leave their memory to the kernel; and a set-gid one may not be looked at by the
 * leak checker. Unit tests and daemons keep it; ASAN_OPTIONS=detect_leaks=1 asks for it.
 */

const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
