/* SPDX-License-Identifier: MIT */
/* Each test file defines this; run_suite.c runs it. NULL: it cannot be run here, and has printed why. */
#ifndef TEST_RUN_SUITE_H
#define TEST_RUN_SUITE_H

#include <check.h>

Suite *suite(void);

#endif
