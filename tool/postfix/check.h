/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What must be in place before the mail system may run, and what should be.
 */

#include <stdbool.h>

#include "instance.h"

/* Directories, accounts and files that must be there; missing queue directories are made.
 * Says what is wrong. */
bool check_fatal(const struct instance *in) MUST_CHECK;

/* Wrong owners and modes, damaged mail: warnings. */
void check_warn(const struct instance *in);

/* The configuration as the master sees it: its errors and warnings. */
bool check_configuration(const struct instance *in) MUST_CHECK;

/* What `hikyaku check` finds beyond that, its warnings as warnings and its errors as
 * errors; notes are left out. False if there was an error. True without hikyaku. */
bool check_meaning(const struct instance *in) MUST_CHECK;

/* Owners and modes of the queue and data directories and of set-gid programs put right.
 */
bool set_permissions(const struct instance *in) MUST_CHECK;
