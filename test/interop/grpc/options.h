/* SPDX-License-Identifier: MIT */
/* The flags of gRPC's interop programs, as every language's drivers write them: --name=value,
 * --name value, -name value, and for a flag that is either true or false also --name alone. */
#ifndef INTEROP_OPTIONS_H
#define INTEROP_OPTIONS_H

#include <stdbool.h>

struct option_of {
	const char *name;
	const char **text; /* exactly one of the three: where the value goes */
	long *number;
	bool *flag;
};

/* Reads all of argv by a table that ends with an empty entry. Prints what is wrong; returns whether
 * nothing is. */
bool options_read(const struct option_of *table, int argc, char **argv);

#endif
