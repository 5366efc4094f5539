/* SPDX-License-Identifier: MIT */
#include "io/fake_machine.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct fake_machine *of(const struct mrpc_machine *machine)
{
	return mrpc_container(machine, struct fake_machine, machine);
}

static int receive(struct mrpc_machine *machine, const uint8_t *data, size_t len, minirpc_time now)
{
	struct fake_machine *fake = of(machine);

	(void)now;
	ck_assert_uint_eq(fake->brokes, 0);
	for (size_t i = 0; i < len && fake->received + i < sizeof fake->in - 1; i++)
		fake->in[fake->received + i] = (char)data[i];
	fake->receives++;
	fake->received += len;
	if (len > fake->most_received)
		fake->most_received = len;
	return fake->receive_error;
}

/* Hands over in pieces, as nghttp2 does, and so may go over the limit by less than a piece. */
static int pending(struct mrpc_machine *machine, struct mrpc_buf *out, size_t limit,
		   minirpc_time now)
{
	struct fake_machine *fake = of(machine);
	uint8_t piece[1000];
	size_t given = 0;

	(void)now;
	ck_assert_uint_eq(fake->brokes, 0);
	ck_assert_uint_eq(fake->handed, fake->sent); /* nothing is asked for while some is unsent */
	memset(piece, fake->letter, sizeof piece);
	fake->pendings++;
	while (fake->to_send > 0 && given < limit) {
		size_t len = fake->to_send < sizeof piece ? fake->to_send : sizeof piece;

		if (mrpc_buf_append(out, piece, len) < 0)
			return -ENOMEM;
		fake->to_send -= len;
		fake->handed += len;
		given += len;
	}
	return fake->pending_error;
}

static void sent(struct mrpc_machine *machine, size_t len, minirpc_time now)
{
	struct fake_machine *fake = of(machine);

	(void)now;
	fake->sent += len;
	ck_assert_uint_le(fake->sent, fake->handed);
	ck_assert_uint_gt(len, 0);
}

static minirpc_time deadline(const struct mrpc_machine *machine)
{
	return of(machine)->deadline;
}

static void tick(struct mrpc_machine *machine, minirpc_time now)
{
	struct fake_machine *fake = of(machine);

	fake->ticks++;
	fake->ticked_at = now;
	fake->deadline = MINIRPC_NEVER;
}

static bool wants_receive(const struct mrpc_machine *machine)
{
	return of(machine)->wants_receive;
}

static bool is_finished(const struct mrpc_machine *machine)
{
	return of(machine)->finished;
}

static void broke(struct mrpc_machine *machine, int error, const char *reason, minirpc_time now)
{
	struct fake_machine *fake = of(machine);

	(void)now;
	fake->brokes++;
	fake->error = error;
	snprintf(fake->reason, sizeof fake->reason, "%s", reason);
}

void fake_machine_init(struct fake_machine *fake, char letter, size_t to_send)
{
	static const struct mrpc_machine_ops ops = {
		.receive = receive,
		.pending = pending,
		.sent = sent,
		.deadline = deadline,
		.tick = tick,
		.wants_receive = wants_receive,
		.is_closed = is_finished,
		.is_finished = is_finished,
		.broke = broke,
	};

	*fake = (struct fake_machine){
		.machine = { .ops = &ops },
		.letter = letter,
		.to_send = to_send,
		.deadline = MINIRPC_NEVER,
		.wants_receive = true,
	};
}
