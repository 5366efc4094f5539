/* SPDX-License-Identifier: MIT */
/* grpc-timeout: the bytes as a text, and their first eight as a span. */
#include "fuzz.h"

#include "wire/timeout.h"

#define FOREVER (INT64_C(1) << 62)

static minirpc_time unit_of(char letter)
{
	static const char letters[] = "numSMH";
	static const minirpc_time spans[] = {
		MINIRPC_NS(1), MINIRPC_US(1), MINIRPC_MS(1),
		MINIRPC_S(1),  MINIRPC_S(60), MINIRPC_S(3600),
	};
	const char *found = letter == '\0' ? NULL : strchr(letters, letter);

	hold(found != NULL);
	return spans[found - letters];
}

/* Written, a span has two to nine letters; read again, it is no shorter, and longer by less than
 * its unit. */
static void a_span_round_trips(minirpc_time span)
{
	char text[MRPC_TIMEOUT_SIZE];
	size_t len = mrpc_timeout_format(text, span);
	minirpc_time back;

	hold(len >= 2 && len <= 9 && strlen(text) == len);
	hold(mrpc_timeout_parse(text, len, &back) == 0);
	if (span <= 0)
		hold(back == 0);
	else if (span > FOREVER)
		hold(back == FOREVER);
	else
		hold(back == FOREVER || (back >= span && back - span < unit_of(text[len - 1])));
}

static void a_text_is_read_or_refused(const char *s, size_t len)
{
	minirpc_time span = -1;
	size_t i;
	int r = mrpc_timeout_parse(s, len, &span);

	if (r != 0) {
		hold(span == -1);
		return;
	}
	hold(span >= 0 && span <= FOREVER);
	hold(len >= 2 && len <= 9 && unit_of(s[len - 1]) > 0);
	for (i = 0; i < len - 1; i++)
		hold(s[i] >= '0' && s[i] <= '9');
	a_span_round_trips(span);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	uint64_t high = input_u32(&input), low = input_u32(&input);
	char *s;

	a_span_round_trips((minirpc_time)(high << 32 | low));
	input = (struct input){ data, len };
	s = input_copy(&input, len, false, &len);
	a_text_is_read_or_refused(s, len);
	free(s);
	return 0;
}
