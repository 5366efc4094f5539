/* SPDX-License-Identifier: MIT */
/* Doctor: grpc.health.v1.Health/Watch at the servers of a fleet, which answers as the test says. Bytes by hand. */
#ifndef TEST_CLIENT_DOCTOR_H
#define TEST_CLIENT_DOCTOR_H

#include "client/fleet.h"

enum { UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN, SILENT = -1, FAILS = -2, BABBLES = -3 };

struct doctor {
	int says;               /* to each Watch, at once: a status, or one of the above */
	enum minirpc_code code; /* FAILS: with this */
	bool and_ends;          /* after what it says, with `code` */
	const char *babble;     /* BABBLES: these bytes */
	size_t babble_len;
	minirpc_call *call;   /* the Watch that is open; NULL: none */
	unsigned asked, left; /* Watches, and those that the client left */
	minirpc_time at[64];  /* when */
	char request[256];    /* the last one's */
	size_t request_len;
	char authority[64];
	bool has_deadline;
};

extern struct doctor doctors[FLEET_MAX + 1];

/* Forgets all; opens a fleet in which each server has a doctor who says SERVING, but those in `without` ("23"). */
int doctors_try_open(struct fleet *fleet, const char *list, const char *without,
		     const struct minirpc_channel_options *options);
int doctors_try_open_on(struct fleet *fleet, const char *list, const char *without,
			const struct minirpc_server_options *server,
			const struct minirpc_channel_options *options);

/* To the Watch that is open. */
void doctor_says(unsigned number, int status);
void doctor_ends(unsigned number, enum minirpc_code code);

#endif
