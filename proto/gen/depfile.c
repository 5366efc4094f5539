/* SPDX-License-Identifier: MIT */
#include "depfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add_path(struct text *text, const char *folder, const char *name, const char *suffix)
{
	const char *parts[] = { folder, *folder == '\0' ? "" : "/", name, suffix };

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		for (const char *p = parts[i]; *p != '\0'; p++) {
			if (*p == ' ' || *p == '#' || *p == '\\')
				text_puts(text, "\\");
			if (*p == '$')
				text_puts(text, "$");
			text_add(text, p, 1);
		}
	}
}

/* What is in none of the roots came with the system, and does not change under a build. */
static void add_input(struct model *model, struct text *text, const char *name)
{
	static const char *const here[] = { "" };
	const struct parameters *parameters = &model->parameters;
	const char *const *roots =
		parameters->root_count > 0 ? (const char *const *)parameters->roots : here;
	size_t count = parameters->root_count > 0 ? parameters->root_count : 1;

	for (size_t i = 0; i < count; i++) {
		const char *path = arena_format(model->arena, "%s%s%s", roots[i],
						*roots[i] == '\0' ? "" : "/", name);

		if (access(path, R_OK) == 0) {
			text_puts(text, " \\\n  ");
			add_path(text, roots[i], name, "");
			return;
		}
	}
}

static void add_imports(struct model *model, struct text *text, const struct file *file, bool *seen)
{
	size_t index = (size_t)(file - model->files);

	if (seen[index])
		return;
	seen[index] = true;
	add_input(model, text, file->name);
	for (size_t i = 0; i < file->proto->n_dependency; i++) {
		const struct file *import = model_file(model, file->proto->dependency[i]);

		if (import != NULL)
			add_imports(model, text, import, seen);
	}
}

static void add_rule(struct model *model, struct text *text, const struct file *file)
{
	static const char *const suffixes[] = { ".pb-c.h", ".pb-c.c", ".minirpc.h", ".minirpc.c" };
	const char *out = model->parameters.out == NULL ? "" : model->parameters.out;
	bool *seen = arena_alloc(model->arena, model->file_count * sizeof *seen);

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		if (i > 0)
			text_puts(text, " \\\n");
		add_path(text, out, file->stem, suffixes[i]);
	}
	text_puts(text, ":");
	add_imports(model, text, file, seen);
	text_puts(text, "\n");
}

bool depfile_write(struct model *model)
{
	const char *path = model->parameters.depfile;
	struct text text = { .arena = model->arena };
	FILE *stream;
	bool ok;

	if (path == NULL)
		return true;
	for (size_t i = 0; i < model->request->n_file_to_generate; i++) {
		const struct file *file = model_file(model, model->request->file_to_generate[i]);

		if (file != NULL)
			add_rule(model, &text, file);
	}

	stream = fopen(path, "w");
	if (stream == NULL)
		return model_fail(model, "depfile %s: %s", path, strerror(errno));
	ok = fwrite(text_string(&text), 1, text.len, stream) == text.len;
	if (fclose(stream) != 0 || !ok)
		return model_fail(model, "depfile %s: %s", path, strerror(errno));
	return true;
}
