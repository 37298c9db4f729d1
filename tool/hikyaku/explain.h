/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * hikyaku explain [-c DIR] [--from SENDER] [--offline] [--json] ADDRESS...: what would
 * happen to mail for an address, and which setting decides. Sends nothing, changes
 * nothing.
 *
 * Exit status: 0 every address would go somewhere, 1 one would be returned or wait, 2
 * wrong usage or no configuration.
 */

int explain_main(int argc, char **argv);
