/* SPDX-License-Identifier: MIT */
/* Script: an interceptor that does what the test says at each part, and notes what it sees. */
#ifndef TEST_CALL_SCRIPT_H
#define TEST_CALL_SCRIPT_H

#include <minirpc/interceptor.h>

struct script {
	const char *name;
	/* By kind of part: MINIRPC_PASS unless set. */
	enum minirpc_verdict send[3], receive[3];
	bool resumes;                      /* calls minirpc_hook_resume before it says HOLD */
	const struct minirpc_status *stop; /* for STOP, and with `resumes` for that; NULL: none */
	/* May be NULL; before the verdict. */
	void (*at)(struct script *script, const struct minirpc_part *part, bool sent);
	void (*at_close)(struct script *script);
	void *user;

	/* What it saw. */
	minirpc_hook *hook;            /* of the newest call */
	unsigned parts, closes, opens; /* of all calls; opens: the hooks that saw something */
	enum minirpc_code code;        /* at the last close */
	char text[64];
	bool bad_order; /* a part, or another close, came after the close */
};

extern const struct minirpc_interceptor scripted;

/* "aH>" : script a was shown HEADERS that are sent; "aM<" a message received; "aE>" an end; "a." closed. With
 * a blank behind each. */
extern char script_log[4096];

#endif
