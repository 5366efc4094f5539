/* SPDX-License-Identifier: MIT */
/* Link, its ends: by the transport, by us, by time. See link.c. */
#include "io/link_own.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CLOSE_TIME MINIRPC_S(30) /* for our last bytes to leave */
#define LINGER_TIME MINIRPC_S(1) /* for the peer to close after our FIN */

static void tell_broke(struct mrpc_link *link, int error, const char *reason)
{
	struct mrpc_machine *machine = link->machine;

	link->error = error;
	snprintf(link->reason, sizeof link->reason, "%s", reason);
	link->handed = 0;
	link->machine = NULL;
	machine->ops->broke(machine, error, link->reason, link->loop->now);
	if (machine->flush == &link->task)
		machine->flush = NULL;
}

void mrpc_link_finish(struct mrpc_link *link, int error, const char *reason)
{
	if (link->state >= LINK_OVER)
		return;
	link->state = LINK_OVER;
	if (link->machine != NULL)
		tell_broke(link, error, reason);
	mrpc_link_drop_unsent(link);
	mrpc_timer_stop(&link->timer);
	mrpc_loop_unwatch(&link->watch);
	mrpc_link_wake(link);
}

void mrpc_link_finish_errno(struct mrpc_link *link, const char *what, int error)
{
	char reason[LINK_REASON_SIZE];

	snprintf(reason, sizeof reason, "%s: %s", what, mrpc_error_text(error));
	mrpc_link_finish(link, -error, reason);
}

void mrpc_link_close_down(struct mrpc_link *link, int error, const char *reason)
{
	link->state = LINK_CLOSING;
	if (link->close_by == MINIRPC_NEVER)
		link->close_by = mrpc_time_add(link->loop->now, CLOSE_TIME);
	tell_broke(link, error, reason);
	if (link->mute) {
		mrpc_link_finish(link, error, reason);
		return;
	}
	if (link->tls != NULL && mrpc_tls_session_state(link->tls) == MRPC_TLS_OPEN)
		mrpc_tls_session_close(link->tls, &link->unsent);
	mrpc_link_wake(link);
}

void mrpc_link_linger(struct mrpc_link *link)
{
	mrpc_link_drop_unsent(link);
	if (shutdown(link->fd, SHUT_WR) < 0) {
		mrpc_link_finish(link, 0, "");
		return;
	}
	link->state = LINK_LINGER;
	link->close_by = mrpc_time_add(link->loop->now, LINGER_TIME);
}

void mrpc_link_tell_closed(struct mrpc_link *link)
{
	char reason[LINK_REASON_SIZE];

	link->state = LINK_TOLD;
	memcpy(reason, link->reason, sizeof reason);
	if (link->options.on_closed != NULL)
		link->options.on_closed(link, link->error, reason, link->options.user);
	/* It may be gone now. */
}

void mrpc_link_tls_failed(struct mrpc_link *link, int error)
{
	const char *reason = mrpc_tls_session_error(link->tls);

	if (error == -ENOMEM)
		mrpc_link_finish_errno(link, "TLS", ENOMEM);
	else
		mrpc_link_close_down(link, error, *reason != '\0' ? reason : "TLS failed");
}

/* ---- what the link waits for ---- */

/* OpenSSL answers a KeyUpdate, or a wish to renegotiate, by itself and byte for byte. A peer that
 * sends these and reads nothing must not fill our memory; what the machine hands over never comes
 * near this. */
static bool is_flooded(const struct mrpc_link *link)
{
	return link->tls != NULL && mrpc_buf_len(&link->unsent) > 2 * LINK_WRITE_LIMIT;
}

static unsigned wanted_events(const struct mrpc_link *link)
{
	unsigned events = link->blocked ? MINIRPC_WRITE : 0;

	switch (link->state) {
	case LINK_OPEN:
		if (!mrpc_link_is_ended(link) && !is_flooded(link) &&
		    (mrpc_link_is_handshaking(link) || link->mute ||
		     link->machine->ops->wants_receive(link->machine)))
			events |= MINIRPC_READ;
		return events;
	case LINK_CLOSING:
		return events;
	case LINK_LINGER:
		return MINIRPC_READ;
	case LINK_OVER:
	case LINK_TOLD:
		break;
	}
	return 0;
}

void mrpc_link_settle(struct mrpc_link *link)
{
	minirpc_time at;
	int r;

	if (link->state >= LINK_OVER)
		return;
	if (link->state == LINK_OPEN && mrpc_link_is_ended(link) && link->close_by == MINIRPC_NEVER)
		link->close_by = mrpc_time_add(link->loop->now, CLOSE_TIME);

	at = link->close_by;
	if (link->state == LINK_OPEN) {
		minirpc_time deadline = link->machine->ops->deadline(link->machine);

		if (deadline < at)
			at = deadline;
	}
	if (at != link->timer.at)
		mrpc_timer_set(&link->timer, at);

	r = mrpc_loop_change(&link->watch, wanted_events(link));
	if (r < 0)
		mrpc_link_finish_errno(link, "cannot watch the connection", -r);
}

void mrpc_link_on_timer(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_link *link = mrpc_container(timer, struct mrpc_link, timer);

	if (now >= link->close_by) {
		if (link->state == LINK_LINGER)
			mrpc_link_finish(link, link->error, link->reason);
		else
			mrpc_link_finish(link, -ETIMEDOUT, "the peer does not take our last bytes");
		return;
	}
	if (link->state == LINK_OPEN)
		link->machine->ops->tick(link->machine, now);
	/* The task looks at the next deadline. */
	mrpc_link_wake(link);
}
