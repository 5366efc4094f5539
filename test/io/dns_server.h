/* SPDX-License-Identifier: MIT */
/* DNS server: a UDP socket on the loop of the test that answers as the test says. Every name has the same
 * records. */
#ifndef TEST_IO_DNS_SERVER_H
#define TEST_IO_DNS_SERVER_H

#include "io/loop.h"

struct dns_server {
	char address[40];                      /* "127.0.0.1:PORT" */
	const char *a[70], *aaaa[70], *txt[4]; /* ended by NULL */
	const char *alias;                     /* a CNAME in front of them */
	unsigned ttl, alias_ttl;
	unsigned rcode, txt_rcode; /* 2: SERVFAIL, 3: NXDOMAIN, 5: REFUSED */
	bool silent, txt_silent;   /* no answer */
	bool garbage;              /* an answer that is none */
	bool cut;                  /* half an answer */
	unsigned asked_a, asked_aaaa, asked_txt;
	char txt_name[300]; /* what was asked for last */

	struct minirpc_watch watch;
	int fd;
};

void dns_server_init(struct dns_server *server, minirpc_loop *loop);
void dns_server_clear(struct dns_server *server);

#endif
