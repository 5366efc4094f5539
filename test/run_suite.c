/* SPDX-License-Identifier: MIT */
/* The main of every test program: runs the suite that its one test file defines. */
#include "run_suite.h"

#include <stdlib.h>

#define SKIPPED 77 /* to meson */

int main(void)
{
	Suite *tests = suite();
	SRunner *runner;
	int failed;

	if (tests == NULL)
		return SKIPPED;
	runner = srunner_create(tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
