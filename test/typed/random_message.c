/* SPDX-License-Identifier: MIT */
#include "typed/random_message.h"

#include <stdlib.h>
#include <string.h>

uint64_t dice_roll(struct dice *dice)
{
	dice->state ^= dice->state >> 12;
	dice->state ^= dice->state << 25;
	dice->state ^= dice->state >> 27;
	return dice->state * UINT64_C(2685821657736338717);
}

size_t dice_below(struct dice *dice, size_t n)
{
	return (size_t)(dice_roll(dice) >> 16) % n;
}

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static char *random_text(struct dice *dice)
{
	static const char *const pieces[] = { "a", "key", "\xc3\xa4", "\xe2\x82\xac",
					      "\xf0\x9f\x90\xb9" };
	size_t n = dice_below(dice, dice_below(dice, 10) == 0 ? 200 : 8);
	char *text = must(calloc(1, n * 4 + 1));

	while (n-- > 0)
		strcat(text, pieces[dice_below(dice, 5)]);
	return text;
}

/* Small and large numbers alike, so that varints have every length. */
static uint64_t random_number(struct dice *dice)
{
	return dice_roll(dice) >> dice_below(dice, 64);
}

static void set_value(struct dice *dice, const ProtobufCFieldDescriptor *field, void *at,
		      unsigned depth)
{
	uint64_t number = random_number(dice);
	uint32_t number32 = (uint32_t)number;
	protobuf_c_boolean truth = number & 1;
	ProtobufCBinaryData *bytes = at;
	size_t i;

	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		memcpy(at, &number32, 4);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		memcpy(at, &number, 8);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		memcpy(at, &truth, sizeof truth);
		break;
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = random_text(dice);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		bytes->len = dice_below(dice, 20);
		bytes->data = bytes->len == 0 ? NULL : must(malloc(bytes->len));
		for (i = 0; i < bytes->len; i++)
			bytes->data[i] = (uint8_t)dice_roll(dice);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = random_message(dice, field->descriptor, depth - 1);
		break;
	}
}

static size_t element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

static void set_repeated(struct dice *dice, ProtobufCMessage *message,
			 const ProtobufCFieldDescriptor *field, unsigned depth)
{
	size_t n = dice_below(dice, dice_below(dice, 20) == 0 ? 40 : 4);
	uint8_t *array = n == 0 ? NULL : must(calloc(n, element_size(field->type)));
	size_t i;

	for (i = 0; i < n; i++)
		set_value(dice, field, array + i * element_size(field->type), depth);
	memcpy((uint8_t *)message + field->quantifier_offset, &n, sizeof n);
	memcpy((uint8_t *)message + field->offset, &array, sizeof array);
}

ProtobufCMessage *random_message(struct dice *dice, const ProtobufCMessageDescriptor *descriptor,
				 unsigned depth)
{
	ProtobufCMessage *message = must(calloc(1, descriptor->sizeof_message));
	unsigned i;

	protobuf_c_message_init(descriptor, message);
	for (i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		uint8_t *at = (uint8_t *)message + field->offset;
		uint32_t *quantifier = (uint32_t *)((uint8_t *)message + field->quantifier_offset);

		if (field->label != PROTOBUF_C_LABEL_REQUIRED &&
		    (dice_below(dice, 3) == 0 ||
		     (depth == 0 && field->type == PROTOBUF_C_TYPE_MESSAGE)))
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			set_repeated(dice, message, field, depth);
			continue;
		}
		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
			if (*quantifier != 0)
				continue;
			*quantifier = field->id;
		} else if (field->quantifier_offset != 0) {
			*quantifier = 1;
		}
		set_value(dice, field, at, depth > 0 ? depth : 1);
	}
	return message;
}

void random_message_free(ProtobufCMessage *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}
