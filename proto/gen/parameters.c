/* SPDX-License-Identifier: MIT */
#include "parameters.h"

#include <string.h>

static bool read_one(struct model *model, char *parameter)
{
	struct parameters *parameters = &model->parameters;
	char *value = strchr(parameter, '=');

	if (value != NULL)
		*value++ = '\0';
	if (value == NULL || *value == '\0')
		return model_fail(model, "parameter %s needs a value: %s=PATH", parameter,
				  parameter);

	if (strcmp(parameter, "protoc_gen_c") == 0)
		parameters->protoc_gen_c = value;
	else if (strcmp(parameter, "depfile") == 0)
		parameters->depfile = value;
	else if (strcmp(parameter, "out") == 0)
		parameters->out = value;
	else if (strcmp(parameter, "root") == 0)
		parameters->roots[parameters->root_count++] = value;
	else
		return model_fail(
			model, "unknown parameter %s; there are protoc_gen_c, depfile, out, root",
			parameter);
	return true;
}

bool parameters_read(struct model *model)
{
	const char *given = model->request->parameter;
	size_t count = 1;
	char *p;

	if (given == NULL)
		return true;
	p = arena_copy(model->arena, given, strlen(given));
	for (const char *c = p; *c != '\0'; c++)
		count += *c == ',';
	model->parameters.roots = arena_alloc(model->arena, count * sizeof(char *));

	while (*p != '\0') {
		size_t len = strcspn(p, ",");
		bool is_last = p[len] == '\0';

		p[len] = '\0';
		if (len > 0 && !read_one(model, p))
			return false;
		p += len + (is_last ? 0 : 1);
	}
	return true;
}
