/* SPDX-License-Identifier: MIT */
/* Fake TLS: io/tls.h for the link's tests, without OpenSSL. Both sides say 'H', then send records
 * "<byte>" as two bytes '.' and the byte; 'C' closes, anything else is a protocol error, answered
 * with the alert 'A'. */
#ifndef TEST_IO_FAKE_TLS_H
#define TEST_IO_FAKE_TLS_H

#include "io/tls.h"

struct mrpc_tls_session *fake_tls_new(void);
extern unsigned fake_tls_alive;

#endif
