/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * hikyaku check [-c DIR] [--offline] [--brief | --json] [--list]: what is wrong with the
 * configuration and with the places it names. Sends no mail, changes nothing.
 *
 * What is looked at are the rows of checks.def; this file runs them and prints what they
 * found.
 *
 * Exit status: 0 nothing above a note, 1 a warning, 2 an error, 64 wrong usage.
 */

int check_main(int argc, char **argv);
