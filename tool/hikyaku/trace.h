/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * hikyaku trace KEY [FILE...]: the way of a message, told from the maillog.
 *
 * Exit status: 0 something was found, 1 nothing was found, 2 wrong usage or no log that
 * could be read.
 */

int trace_main(int argc, char **argv);
