/* SPDX-License-Identifier: MIT */
/* proto3 `optional` as protobuf-c's runtime sees it. */
#include <stdlib.h>

#include <google/protobuf/descriptor.pb-c.h>

#include "optional.minirpc.h"
#include "run_suite.h"

static size_t pack(const Test__Optional *message, uint8_t *data, size_t size)
{
	size_t len = test__optional__get_packed_size(message);

	ck_assert_uint_le(len, size);
	return test__optional__pack(message, data);
}

START_TEST(an_absent_optional_is_not_written)
{
	Test__Optional message = { TEST__OPTIONAL__FIELDS, .number = 5, .flag = true };
	Test__Optional defaults = TEST__OPTIONAL__INIT;
	uint8_t data[64];

	ck_assert_uint_eq(pack(&message, data, sizeof data), 0);
	ck_assert_uint_eq(pack(&defaults, data, sizeof data), 0);
}
END_TEST

START_TEST(a_present_optional_is_written_also_when_it_is_zero)
{
	Test__Optional message = { TEST__OPTIONAL__FIELDS, .has_number = true, .text = (char *)"",
				   .has_data = true,       .has_flag = true,   .has_color = true };
	static const uint8_t expected[] = { 1 << 3, 0,      2 << 3 | 2, 0,      3 << 3 | 2,
					    0,      4 << 3, 0,          5 << 3, 0 };
	Test__Optional *copy;
	uint8_t data[64];

	ck_assert_uint_eq(pack(&message, data, sizeof data), sizeof expected);
	ck_assert_mem_eq(data, expected, sizeof expected);

	copy = test__optional__unpack(NULL, sizeof expected, expected);
	ck_assert_ptr_nonnull(copy);
	ck_assert(copy->has_number && copy->has_data && copy->has_flag && copy->has_color);
	ck_assert_str_eq(copy->text, "");
	ck_assert(!copy->has_real);
	ck_assert_ptr_null(copy->message);
	test__optional__free_unpacked(copy, NULL);
}
END_TEST

START_TEST(a_plain_field_is_written_when_it_is_not_zero)
{
	Test__Optional message = { TEST__OPTIONAL__FIELDS, .plain_number = 7,
				   .plain_text = (char *)"t", .plain_color = TEST__COLOR__RED };
	static const uint8_t expected[] = { 11 << 3, 7, 12 << 3 | 2, 1, 't', 14 << 3, 1 };
	uint8_t data[64];

	ck_assert_uint_eq(pack(&message, data, sizeof data), sizeof expected);
	ck_assert_mem_eq(data, expected, sizeof expected);
}
END_TEST

START_TEST(an_empty_message_has_the_defaults_of_proto3)
{
	Test__Optional *message = test__optional__unpack(NULL, 0, NULL);

	ck_assert_ptr_nonnull(message);
	ck_assert_ptr_null(message->text);
	ck_assert_str_eq(message->plain_text, "");
	ck_assert_ptr_eq(message->plain_text, protobuf_c_empty_string);
	ck_assert(protobuf_c_message_check(&message->base));
	test__optional__free_unpacked(message, NULL);
}
END_TEST

START_TEST(numbers_are_packed_unless_the_file_says_otherwise)
{
	int32_t numbers[] = { 1, 2, 3 };
	int64_t loose[] = { 1, 2 };
	Test__Optional message = { TEST__OPTIONAL__FIELDS, .n_numbers = 3, .numbers = numbers,
				   .n_loose = 2, .loose = loose };
	static const uint8_t expected[] = { 0x82, 1, 3, 1, 2, 3, 0x98, 1, 1, 0x98, 1, 2 };
	uint8_t data[64];

	ck_assert_uint_eq(pack(&message, data, sizeof data), sizeof expected);
	ck_assert_mem_eq(data, expected, sizeof expected);
}
END_TEST

START_TEST(maps_and_oneofs_are_as_in_any_proto3_file)
{
	Test__Optional__MapEntry entry = { TEST__OPTIONAL__MAP_ENTRY__FIELDS, .key = (char *)"k",
					   .value = 1 };
	Test__Optional__MapEntry *map[] = { &entry };
	Test__Optional message = { TEST__OPTIONAL__FIELDS, .n_map = 1, .map = map,
				   .choice_case = TEST__OPTIONAL__CHOICE_A, .a = 0 };
	static const uint8_t expected[] = { 0xa2, 1, 5, 0x0a, 1, 'k', 0x10, 1, 0xb0, 1, 0 };
	Test__Optional *copy;
	uint8_t data[64];

	ck_assert_uint_eq(pack(&message, data, sizeof data), sizeof expected);
	ck_assert_mem_eq(data, expected, sizeof expected);
	copy = test__optional__unpack(NULL, sizeof expected, expected);
	ck_assert_ptr_nonnull(copy);
	ck_assert_int_eq(copy->choice_case, TEST__OPTIONAL__CHOICE_A);
	ck_assert_uint_eq(copy->n_map, 1);
	ck_assert_str_eq(copy->map[0]->key, "k");
	test__optional__free_unpacked(copy, NULL);
}
END_TEST

START_TEST(no_field_is_required_and_no_default_can_be_written_to)
{
	const ProtobufCMessageDescriptor *descriptor = &test__optional__descriptor;

	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

		ck_assert_int_ne(field->label, PROTOBUF_C_LABEL_REQUIRED);
		if (field->default_value != NULL)
			ck_assert_ptr_eq(field->default_value, protobuf_c_empty_string);
	}
}
END_TEST

/* Reflection must show the file as it was written, not as protoc-gen-c was shown it. */
START_TEST(the_embedded_file_is_the_original)
{
	const struct minirpc_file *file = &minirpc_file_optional;
	Google__Protobuf__FileDescriptorProto *proto =
		google__protobuf__file_descriptor_proto__unpack(NULL, file->descriptor_len,
								file->descriptor);
	Google__Protobuf__DescriptorProto *message;

	ck_assert_ptr_nonnull(proto);
	ck_assert_str_eq(file->name, "optional.proto");
	ck_assert_str_eq(proto->name, file->name);
	ck_assert_str_eq(proto->syntax, "proto3");
	ck_assert_ptr_null(proto->source_code_info);
	message = proto->message_type[0];
	ck_assert(message->field[0]->proto3_optional);
	ck_assert_uint_eq(message->n_oneof_decl, 1 + 8);
	ck_assert_ptr_eq(file->imports[0], &minirpc_file_plain);
	ck_assert_ptr_null(file->imports[1]);
	google__protobuf__file_descriptor_proto__free_unpacked(proto, NULL);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("optional");
	TCase *t = tcase_create("optional");

	tcase_add_test(t, an_absent_optional_is_not_written);
	tcase_add_test(t, a_present_optional_is_written_also_when_it_is_zero);
	tcase_add_test(t, a_plain_field_is_written_when_it_is_not_zero);
	tcase_add_test(t, an_empty_message_has_the_defaults_of_proto3);
	tcase_add_test(t, numbers_are_packed_unless_the_file_says_otherwise);
	tcase_add_test(t, maps_and_oneofs_are_as_in_any_proto3_file);
	tcase_add_test(t, no_field_is_required_and_no_default_can_be_written_to);
	tcase_add_test(t, the_embedded_file_is_the_original);
	suite_add_tcase(s, t);
	return s;
}
