/* SPDX-License-Identifier: MIT */
/* Random messages of any type, from a seed. */
#ifndef TEST_TYPED_RANDOM_MESSAGE_H
#define TEST_TYPED_RANDOM_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* xorshift64*: the same numbers everywhere. */
struct dice {
	uint64_t state;
};

uint64_t dice_roll(struct dice *dice);
size_t dice_below(struct dice *dice, size_t n); /* 0 to n-1 */

/* A valid message with sub-messages at most `depth` deep, to be freed with random_message_free. */
ProtobufCMessage *random_message(struct dice *dice, const ProtobufCMessageDescriptor *descriptor,
				 unsigned depth);
void random_message_free(ProtobufCMessage *message);

#endif
