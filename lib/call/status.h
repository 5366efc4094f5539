/* SPDX-License-Identifier: MIT */
/* Status: what of others' statuses may become a call's own. */
#ifndef MRPC_CALL_STATUS_H
#define MRPC_CALL_STATUS_H

#include <minirpc/status.h>

/* What resolvers, pickers and credentials failed with, as a call may say it: OK and the codes that only
 * applications mean become INTERNAL, with the code and the text in the text, which is written to `text` and cut
 * there; others stay as they are [S-5, A54]. */
struct minirpc_status mrpc_status_of_control_plane(const struct minirpc_status *status, char *text,
						   size_t size);

#endif
