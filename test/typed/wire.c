/* SPDX-License-Identifier: MIT */
#include "typed/wire.h"

#include <stdlib.h>
#include <string.h>

void wire_raw(struct wire *wire, const void *data, size_t len)
{
	if (wire->capacity - wire->len < len) {
		wire->capacity = (wire->capacity + len) * 2;
		wire->data = realloc(wire->data, wire->capacity);
		if (wire->data == NULL)
			abort();
	}
	if (len > 0)
		memcpy(wire->data + wire->len, data, len);
	wire->len += len;
}

void wire_varint(struct wire *wire, uint64_t value)
{
	uint8_t byte;

	for (; value >= 0x80; value >>= 7) {
		byte = (uint8_t)(value | 0x80);
		wire_raw(wire, &byte, 1);
	}
	byte = (uint8_t)value;
	wire_raw(wire, &byte, 1);
}

void wire_tag(struct wire *wire, uint32_t number, unsigned type)
{
	wire_varint(wire, (uint64_t)number << 3 | type);
}

void wire_number(struct wire *wire, uint32_t number, uint64_t value)
{
	wire_tag(wire, number, 0);
	wire_varint(wire, value);
}

void wire_bytes(struct wire *wire, uint32_t number, const void *data, size_t len)
{
	wire_tag(wire, number, 2);
	wire_varint(wire, len);
	wire_raw(wire, data, len);
}

void wire_text(struct wire *wire, uint32_t number, const char *text)
{
	wire_bytes(wire, number, text, strlen(text));
}

void wire_message(struct wire *wire, uint32_t number, const struct wire *message)
{
	wire_bytes(wire, number, message->data, message->len);
}

void wire_clear(struct wire *wire)
{
	free(wire->data);
	*wire = (struct wire){ 0 };
}

static size_t varint_len(uint64_t value)
{
	size_t len = 1;

	for (; value >= 0x80; value >>= 7)
		len++;
	return len;
}

void wire_nested(struct wire *wire, uint32_t number, unsigned levels)
{
	size_t *lens = calloc(levels + 1, sizeof *lens);
	size_t tag = varint_len((uint64_t)number << 3);
	unsigned i;

	if (lens == NULL)
		abort();
	for (i = 1; i <= levels; i++)
		lens[i] = tag + varint_len(lens[i - 1]) + lens[i - 1];
	for (i = levels; i > 0; i--) {
		wire_tag(wire, number, 2);
		wire_varint(wire, lens[i - 1]);
	}
	free(lens);
}
