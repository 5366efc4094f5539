/* SPDX-License-Identifier: MIT */
/* Values of header fields: percent, base64, names, content types, paths, statuses. Each reads the
 * same bytes; what was written can be read, and nothing is read beyond its end. */
#include "fuzz.h"

#include "base/text.h"
#include "wire/base64.h"
#include "wire/header.h"
#include "wire/percent.h"

static void *get(size_t size)
{
	void *p = malloc(size == 0 ? 1 : size);

	hold(p != NULL);
	return p;
}

static bool is_text(const char *s, size_t len)
{
	return mrpc_utf8_is_valid(s, len) && (len == 0 || memchr(s, '\0', len) == NULL);
}

static void percent_decodes_to_text(const char *s, size_t len)
{
	char *out = get(len), *again = get(len), *wire;
	size_t n = mrpc_percent_decode(out, s, len), m;

	hold(n <= len && is_text(out, n));

	if (len > 0)
		memcpy(again, s, len);
	hold(mrpc_percent_decode(again, again, len) == n); /* in place */
	hold(n == 0 || memcmp(again, out, n) == 0);

	wire = get(mrpc_percent_encoded_len(out, n));
	m = mrpc_percent_encode(wire, out, n);
	hold(mrpc_percent_decode(wire, wire, m) == n);
	hold(n == 0 || memcmp(wire, out, n) == 0);
	free(wire);
	free(again);
	free(out);
}

static void percent_round_trips(const char *s, size_t len)
{
	size_t n = mrpc_percent_encoded_len(s, len), i;
	char *wire = get(n);

	hold(n >= len && n <= 3 * len);
	hold(mrpc_percent_encode(wire, s, len) == n);
	for (i = 0; i < n; i++)
		hold(wire[i] >= 0x20 && wire[i] <= 0x7E);
	hold(mrpc_percent_decode(wire, wire, n) == len);
	if (is_text(s, len))
		hold(len == 0 || memcmp(wire, s, len) == 0);
	free(wire);
}

static void base64_round_trips(const uint8_t *s, size_t len)
{
	size_t n = mrpc_base64_encoded_len(len), back;
	char *text = get(n);

	hold(mrpc_base64_encode(text, s, len) == n);
	hold(mrpc_base64_decode((uint8_t *)text, &back, text, n) == 0);
	hold(back == len && (len == 0 || memcmp(text, s, len) == 0));
	free(text);
}

/* One text for each value: what can be read, written again, is the same but for its padding. */
static void base64_is_strict(const char *s, size_t len)
{
	uint8_t *out = get(mrpc_base64_decoded_max(len));
	char *again;
	size_t n, m;

	if (mrpc_base64_decode(out, &n, s, len) == 0) {
		hold(n <= mrpc_base64_decoded_max(len));
		again = get(mrpc_base64_encoded_len(n));
		m = mrpc_base64_encode(again, out, n);
		hold(m == len || (len % 4 == 0 && len - m <= 2 && s[len - 1] == '='));
		hold(m == 0 || memcmp(again, s, m) == 0);
		free(again);
	}
	free(out);
}

static void names_and_values_are_judged(const char *s, size_t len)
{
	const char *subtype = NULL;
	size_t subtype_len = 0;
	enum minirpc_code code;
	char text[3];

	hold(mrpc_header_classify(s, len) <= MRPC_HEADER_GRPC_OTHER);

	if (mrpc_content_type_is_grpc(s, len, &subtype, &subtype_len)) {
		hold(len >= 16 && subtype_len > 0);
		hold((subtype >= s && subtype + subtype_len <= s + len) ||
		     memcmp(subtype, "proto", subtype_len) == 0);
	}

	if (mrpc_path_is_valid(s, len))
		hold(len >= 4 && s[0] == '/' && memchr(s, '\0', len) == NULL &&
		     memrchr(s, '/', len) != s && s[len - 1] != '/');

	if (mrpc_status_parse(s, len, &code)) {
		snprintf(text, sizeof text, "%d", (int)code);
		hold(strlen(text) == len && memcmp(text, s, len) == 0);
	} else {
		hold(code == MINIRPC_UNKNOWN);
	}
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	char *s = input_copy(&input, len, false, &len);

	percent_decodes_to_text(s, len);
	percent_round_trips(s, len);
	base64_round_trips((const uint8_t *)s, len);
	base64_is_strict(s, len);
	names_and_values_are_judged(s, len);
	free(s);

	input = (struct input){ data, len };
	hold(mrpc_status_from_http(input_u32(&input)) <= MINIRPC_UNAUTHENTICATED);
	input = (struct input){ data, len };
	hold(mrpc_status_from_reset(input_u32(&input)) != MINIRPC_OK);
	input = (struct input){ data, len };
	hold(mrpc_reset_name(input_u32(&input)) != NULL);
	return 0;
}
