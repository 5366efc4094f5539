/* SPDX-License-Identifier: MIT */
/* Writes protobuf's wire form by hand, so that tests can write it wrong. */
#ifndef TEST_TYPED_WIRE_H
#define TEST_TYPED_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct wire {
	uint8_t *data;
	size_t len, capacity;
};

void wire_varint(struct wire *wire, uint64_t value);
void wire_raw(struct wire *wire, const void *data, size_t len);
void wire_tag(struct wire *wire, uint32_t number, unsigned type);

void wire_number(struct wire *wire, uint32_t number, uint64_t value); /* wire type 0 */
void wire_bytes(struct wire *wire, uint32_t number, const void *data, size_t len);
void wire_text(struct wire *wire, uint32_t number, const char *text);
void wire_message(struct wire *wire, uint32_t number, const struct wire *message);

void wire_clear(struct wire *wire);

/* `levels` messages of which each is field `number` of the one around it. */
void wire_nested(struct wire *wire, uint32_t number, unsigned levels);

#endif
