/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `hikyaku password`: reads a password, from the terminal without showing it (twice) or
 * one line from standard input, and prints a row for smtpd_sasl_password_maps.
 */

int password_main(int argc, char **argv);
