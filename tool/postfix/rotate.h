/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * postfix logrotate: maillog_file gets a dated name, the log writer begins a new file,
 * the old one is compressed.
 */

#include "instance.h"

int rotate_log(const struct instance *in);
