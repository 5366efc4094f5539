/* SPDX-License-Identifier: MIT */
/* The stubs of one .proto file: x.minirpc.h and x.minirpc.c.
 *
 *	header.c    both files from top to bottom
 *	client.c    what a client calls
 *	server.c    what a server calls, and the tables behind it
 *	embed.c     the descriptor of the file, for reflection
 *	comments.c  comments of the .proto
 *
 * Each part is a few templates (see text.h) for the header and for the source. Public functions are
 * thin; everything that does work is in the library (minirpc/typed.h). User functions are called
 * through their own type only: a static function of the right types stands between them and the
 * library's void pointers. */
#ifndef GEN_STUBS_H
#define GEN_STUBS_H

#include "messages.h"

struct method {
	const pb_method *proto;
	const struct type *request, *response;
	bool many_requests, many_responses;
	const char *comment; /* lines of a comment: " * text\n", or "" */
	struct scope scope;
};

struct service {
	const pb_service *proto;
	const char *comment;
	struct method *methods;
	size_t method_count;
	struct scope scope;
};

struct stubs {
	struct model *model;
	const struct file *file;
	struct claims claims;
	struct service *services;
	size_t service_count;
	struct text header, source;
};

/* Adds x.minirpc.h and x.minirpc.c. Returns false with model->error set. */
bool stubs_generate(struct model *model, const struct file *file, struct outputs *outputs);

/* Prepares file->services with names and types. Returns false with model->error set. */
bool stubs_prepare(struct stubs *stubs);

void client_generate(struct stubs *stubs, const struct service *service);
void server_generate(struct stubs *stubs, const struct service *service);
void embed_generate(struct stubs *stubs);

/* The comment in front of a service (method < 0) or of one of its methods, as lines that begin with
 * " * "; "" when there is none. */
const char *comments_of(struct stubs *stubs, int service, int method);

#endif
