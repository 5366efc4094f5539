/* SPDX-License-Identifier: MIT */
/* Comments of the .proto become comments of the header. protoc hands them over with a path of field
 * numbers and indices: 6, i is service i of the file; 6, i, 2, j its method j. */
#include "stubs.h"

#include <string.h>

enum {
	FILE_SERVICE = 6,  /* FileDescriptorProto.service */
	SERVICE_METHOD = 2 /* ServiceDescriptorProto.method */
};

static const char *find(const pb_file *file, const int32_t *path, size_t path_len)
{
	const Google__Protobuf__SourceCodeInfo *info = file->source_code_info;

	for (size_t i = 0; info != NULL && i < info->n_location; i++) {
		const Google__Protobuf__SourceCodeInfo__Location *location = info->location[i];

		if (location->n_path != path_len ||
		    memcmp(location->path, path, path_len * sizeof *path) != 0)
			continue;
		if (location->leading_comments != NULL)
			return location->leading_comments;
		return location->trailing_comments;
	}
	return NULL;
}

static void add_line(struct text *text, const char *line, size_t len)
{
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	if (len > 0 && *line == ' ') { /* the blank behind the comment sign */
		line++;
		len--;
	}
	text_puts(text, " *");
	if (len > 0) {
		text_puts(text, " ");
		text_comment(text, line, len);
	}
	text_puts(text, "\n");
}

const char *comments_of(struct stubs *stubs, int service, int method)
{
	const int32_t path[] = { FILE_SERVICE, service, SERVICE_METHOD, method };
	const char *comment = find(stubs->file->proto, path, method < 0 ? 2 : 4);
	struct text text = { .arena = stubs->model->arena };
	size_t len;

	if (comment == NULL)
		return "";
	len = strlen(comment);
	while (len > 0 && strchr(" \t\r\n", comment[len - 1]) != NULL)
		len--;
	while (len > 0) {
		size_t line = strcspn(comment, "\n");

		if (line > len)
			line = len;
		add_line(&text, comment, line);
		comment += line;
		len -= line;
		if (len > 0) {
			comment++;
			len--;
		}
	}
	return text_string(&text);
}
