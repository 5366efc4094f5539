/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_of *find(const struct option_of *table, const char *name, size_t len)
{
	for (; table->name != NULL; table++)
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

static bool is_truth(const char *word)
{
	return strcmp(word, "true") == 0 || strcmp(word, "false") == 0;
}

static bool take(const struct option_of *option, const char *value)
{
	char *end = NULL;

	if (option->text != NULL) {
		*option->text = value;
		return true;
	}
	if (option->flag != NULL) {
		*option->flag = strcmp(value, "true") == 0;
		return is_truth(value);
	}
	*option->number = strtol(value, &end, 10);
	return *value != '\0' && *end == '\0';
}

bool options_read(const struct option_of *table, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + strspn(argv[i], "-");
		const char *equals = strchr(name, '='), *value;
		const struct option_of *option;

		option = find(table, name, equals == NULL ? strlen(name) : (size_t)(equals - name));
		if (option == NULL || name == argv[i]) {
			fprintf(stderr, "%s: unknown flag %s\n", argv[0], argv[i]);
			return false;
		}
		if (equals != NULL)
			value = equals + 1;
		else if (option->flag != NULL && (i + 1 == argc || !is_truth(argv[i + 1])))
			value = "true";
		else if (i + 1 < argc)
			value = argv[++i];
		else
			value = "";
		if (!take(option, value)) {
			fprintf(stderr, "%s: %s cannot be \"%s\"\n", argv[0], name, value);
			return false;
		}
	}
	return true;
}
