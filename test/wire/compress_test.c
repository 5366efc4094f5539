/* SPDX-License-Identifier: MIT */
/* Compressors, the table of them, and the sink, over memory that is counted and that can run out. */
#include "run_suite.h"

#include "wire/compress.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT (4u << 20)

/* What this build has. */
static const struct minirpc_compressor *compressors[8];
static int count;

static void add(const struct minirpc_compressor *compressor)
{
	if (compressor != NULL)
		compressors[count++] = compressor;
}

static void setup(void)
{
	count = 0;
	add(minirpc_compressor_gzip());
	add(minirpc_compressor_deflate());
	ck_assert_int_eq(count, 2);
	add(minirpc_compressor_zstd());
	add(minirpc_compressor_brotli());
	add(minirpc_compressor_snappy());
}

static void teardown(void)
{
	alloc_fail_at(0, false);
	ck_assert_uint_eq(alloc_live_bytes(), 0);
}

/* Half noise, half repetition. */
static uint8_t *make_data(size_t len)
{
	uint8_t *data = malloc(len + 1);
	uint32_t noise = 1;

	for (size_t i = 0; i < len; i++) {
		noise = noise * 1664525 + 1013904223;
		data[i] = (uint8_t)((i / 64) % 2 == 0 ? i / 128 : noise >> 24);
	}
	return data;
}

static struct mrpc_part *compress(const struct minirpc_compressor *compressor, const void *data,
				  size_t len)
{
	struct mrpc_part *part;

	ck_assert_int_eq(mrpc_part_compress(&part, compressor, NULL, data, len), 0);
	ck_assert(part->compressed);
	ck_assert_int_eq(part->kind, MRPC_MESSAGE);
	ck_assert_uint_ge(part->capacity, part->len);
	return part;
}

static struct mrpc_part *bytes(const void *data, size_t len)
{
	struct mrpc_part *part = mrpc_part_new(NULL, len);

	memcpy(mrpc_part_data(part), data, len);
	return part;
}

static int try(const struct minirpc_compressor *compressor, struct mrpc_part *part, size_t limit)
{
	struct mrpc_part *whole;
	int r = mrpc_part_decompress(&whole, compressor, part, limit);

	if (r == 0)
		mrpc_part_free(whole);
	return r;
}

static int try_bytes(const struct minirpc_compressor *compressor, const void *data, size_t len)
{
	struct mrpc_part *part = bytes(data, len);
	int r = try(compressor, part, LIMIT);

	mrpc_part_free(part);
	return r;
}

static void check_same(const struct minirpc_compressor *compressor, struct mrpc_part *part,
		       const void *data, size_t len, size_t limit)
{
	struct mrpc_part *whole;

	ck_assert_msg(mrpc_part_decompress(&whole, compressor, part, limit) == 0, "%s, %zu bytes",
		      compressor->name, len);
	ck_assert(whole->compressed);
	ck_assert_uint_eq(whole->len, len);
	ck_assert_mem_eq(mrpc_part_data(whole), data, len);
	ck_assert_uint_le(whole->capacity, limit);
	mrpc_part_free(whole);
}

START_TEST(messages_of_every_size_come_back_as_they_were) /* C-1 */
{
	static const size_t sizes[] = { 0,     1,     2,     10,     100,    511,   512,
					513,   4096,  8191,  8192,   8193,   32768, 65535,
					65536, 65537, 70000, 262144, 1000003 };

	for (int c = 0; c < count; c++) {
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			uint8_t *data = make_data(sizes[i]);
			struct mrpc_part *part = compress(compressors[c], data, sizes[i]);

			check_same(compressors[c], part, data, sizes[i], LIMIT);
			mrpc_part_free(part);
			free(data);
		}
	}
}
END_TEST

START_TEST(a_message_at_the_limit_passes_and_one_byte_more_is_refused) /* S-7 */
{
	static const size_t limits[] = { 1, 2, 100, 8192, 8193, 100000, LIMIT };

	for (int c = 0; c < count; c++) {
		for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
			uint8_t *data = make_data(limits[i]);
			struct mrpc_part *part = compress(compressors[c], data, limits[i]);

			check_same(compressors[c], part, data, limits[i], limits[i]);
			ck_assert_int_eq(try(compressors[c], part, limits[i] - 1), -EMSGSIZE);
			ck_assert_int_eq(try(compressors[c], part, 0), -EMSGSIZE);
			mrpc_part_free(part);
			free(data);
		}
	}
}
END_TEST

START_TEST(a_bomb_costs_its_limit_and_no_more) /* S-7 */
{
	const size_t size = 64u << 20; /* some 64 KiB, or far less, of zeros */
	uint8_t *zeros = calloc(1, size);

	for (int c = 0; c < count; c++) {
		struct mrpc_part *part = compress(compressors[c], zeros, size);
		size_t before = alloc_live_bytes();

		alloc_reset_peak();
		ck_assert_int_eq(try(compressors[c], part, LIMIT), -EMSGSIZE);
		/* the sink, while it grows, and a compressor's own: br has a window of 4 MiB here */
		ck_assert_uint_le(alloc_peak_bytes() - before,
				  LIMIT + LIMIT / 2 +
					  (compressors[c]->name[0] == 'b' ? 5u << 20 : 1u << 19));
		ck_assert_uint_eq(alloc_live_bytes(), before);
		mrpc_part_free(part);
	}
	free(zeros);
}
END_TEST

START_TEST(a_small_message_costs_little_memory)
{
	uint8_t *data = make_data(200);
	struct mrpc_part *part;

	for (int c = 0; c < 2; c++) { /* zlib's own sizes are 268 KiB and 40 KiB */
		alloc_reset_peak();
		part = compress(compressors[c], data, 200);
		ck_assert_uint_le(alloc_peak_bytes(), 16u << 10);
		alloc_reset_peak();
		check_same(compressors[c], part, data, 200, LIMIT);
		ck_assert_uint_le(alloc_peak_bytes(), 16u << 10);
		mrpc_part_free(part);
	}
	free(data);
}
END_TEST

START_TEST(what_waits_to_be_sent_has_no_room_to_spare)
{
	uint8_t *zeros = calloc(1, 100000);
	struct mrpc_part *part = compress(compressors[0], zeros, 100000);

	ck_assert_uint_lt(part->len, 200);
	ck_assert_uint_lt(part->capacity, part->len + 512);
	mrpc_part_free(part);
	free(zeros);
}
END_TEST

START_TEST(a_truncated_message_is_corrupt) /* C-3 */
{
	uint8_t *data = make_data(300);

	for (int c = 0; c < count; c++) {
		struct mrpc_part *part = compress(compressors[c], data, 300);
		size_t whole = part->len;

		/* A snappy stream may end after each chunk: its header, and then one. */
		for (part->len = strcmp(compressors[c]->name, "snappy") == 0 ? 11 : 0;
		     part->len < whole; part->len++)
			ck_assert_int_eq(try(compressors[c], part, LIMIT), -EBADMSG);
		ck_assert_int_eq(try(compressors[c], part, LIMIT), 0);
		mrpc_part_free(part);
	}
	free(data);
}
END_TEST

START_TEST(no_bytes_at_all_are_corrupt) /* C-3 */
{
	for (int c = 0; c < count; c++) {
		bool may_be_empty = strcmp(compressors[c]->name, "snappy") == 0;

		ck_assert_int_eq(try_bytes(compressors[c], "", 0), may_be_empty ? 0 : -EBADMSG);
	}
}
END_TEST

START_TEST(bytes_behind_the_end_are_corrupt) /* C-3 */
{
	static const char *const rests[] = { "x", "\x1f", "\x1f\x8b", "garbage behind the end" };

	for (int c = 0; c < count; c++) {
		struct mrpc_part *part = compress(compressors[c], "hello", 5);

		for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
			size_t len = part->len + strlen(rests[i]);
			uint8_t *longer = malloc(len);

			memcpy(longer, mrpc_part_data(part), part->len);
			memcpy(longer + part->len, rests[i], strlen(rests[i]));
			ck_assert_int_eq(try_bytes(compressors[c], longer, len), -EBADMSG);
			free(longer);
		}
		mrpc_part_free(part);
	}
}
END_TEST

/* Every byte changed in turn: refused, or (a time stamp, bits that mean nothing) the same message. */
START_TEST(a_changed_byte_never_changes_the_message) /* C-3 */
{
	uint8_t *data = make_data(500);

	for (int c = 0; c < 2; c++) {
		struct mrpc_part *part = compress(compressors[c], data, 500), *whole;
		int refused = 0;

		for (size_t i = 0; i < part->len; i++) {
			mrpc_part_data(part)[i] ^= 0x55;
			if (mrpc_part_decompress(&whole, compressors[c], part, LIMIT) == 0) {
				ck_assert_uint_eq(whole->len, 500);
				ck_assert_mem_eq(mrpc_part_data(whole), data, 500);
				mrpc_part_free(whole);
			} else {
				refused++;
			}
			mrpc_part_data(part)[i] ^= 0x55;
		}
		ck_assert_int_ge(refused, (int)part->len - 10);
		mrpc_part_free(part);
	}
	free(data);
}
END_TEST

START_TEST(gzip_is_rfc_1952_and_deflate_is_rfc_1950) /* C-1 */
{
	/* printf hello | gzip -n; python3 zlib.compress(b'hello'), and the same without its head */
	static const uint8_t gzip[] = { 0x1f, 0x8b, 8,    0,    0,    0,    0,    0, 0,
					3,    0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0, 0x86,
					0xa6, 0x10, 0x36, 5,    0,    0,    0 };
	static const uint8_t zlib[] = { 0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9,
					0x07, 0,    6,    0x2c, 2,    0x15 };
	struct mrpc_part *part = bytes(gzip, sizeof gzip);

	check_same(minirpc_compressor_gzip(), part, "hello", 5, LIMIT);
	ck_assert_int_eq(try(minirpc_compressor_deflate(), part, LIMIT), -EBADMSG);
	mrpc_part_free(part);

	part = bytes(zlib, sizeof zlib);
	check_same(minirpc_compressor_deflate(), part, "hello", 5, LIMIT);
	ck_assert_int_eq(try(minirpc_compressor_gzip(), part, LIMIT), -EBADMSG);
	mrpc_part_free(part);
	ck_assert_int_eq(try_bytes(minirpc_compressor_deflate(), zlib + 2, sizeof zlib - 6),
			 -EBADMSG);
}
END_TEST

/* What others made of "hello hello hello": zstd's own library, brotli and snap of Rust. */
START_TEST(the_optional_ones_read_what_others_write)
{
	static const uint8_t zstd[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x11, 0x65,
					0x00, 0x00, 0x30, 0x68, 0x65, 0x6c, 0x6c,
					0x6f, 0x20, 0x01, 0x00, 0x31, 0x4a, 0x11 };
	static const uint8_t br[] = { 0x1b, 0x10, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x44, 0x55,
				      0x86, 0x96, 0x6c, 0x20, 0x6f, 0x01, 0x4f, 0x1c, 0x60, 0x1c };
	static const uint8_t snappy[] = { 0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70,
					  0x59, 0x01, 0x15, 0x00, 0x00, 0xab, 0x04, 0xb5, 0x1d,
					  0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x68, 0x65, 0x6c,
					  0x6c, 0x6f, 0x20, 0x68, 0x65, 0x6c, 0x6c, 0x6f };
	static const struct {
		const char *name;
		const uint8_t *data;
		size_t len;
	} vectors[] = { { "zstd", zstd, sizeof zstd },
			{ "br", br, sizeof br },
			{ "snappy", snappy, sizeof snappy } };

	for (int c = 2; c < count; c++) {
		for (int i = 0; i < 3; i++) {
			struct mrpc_part *part = bytes(vectors[i].data, vectors[i].len);

			if (strcmp(vectors[i].name, compressors[c]->name) == 0)
				check_same(compressors[c], part, "hello hello hello", 17, LIMIT);
			else
				ck_assert_int_eq(try(compressors[c], part, LIMIT), -EBADMSG);
			mrpc_part_free(part);
		}
	}
}
END_TEST

START_TEST(a_snappy_stream_may_hold_padding_and_no_chunk_that_is_unknown)
{
	static const uint8_t padded[] = { 0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50,
					  0x70, 0x59, 0xfe, 0x03, 0x00, 0x00, 0x00, 0x00,
					  0x00, 0x80, 0x01, 0x00, 0x00, 0xff, 0x01, 0x15,
					  0x00, 0x00, 0xab, 0x04, 0xb5, 0x1d, 0x68, 0x65,
					  0x6c, 0x6c, 0x6f, 0x20, 0x68, 0x65, 0x6c, 0x6c,
					  0x6f, 0x20, 0x68, 0x65, 0x6c, 0x6c, 0x6f };
	uint8_t other[sizeof padded];
	struct mrpc_part *part;

	if (minirpc_compressor_snappy() == NULL)
		return;
	part = bytes(padded, sizeof padded);
	check_same(minirpc_compressor_snappy(), part, "hello hello hello", 17, LIMIT);
	mrpc_part_free(part);
	for (int type = 2; type < 0x80; type++) {
		memcpy(other, padded, sizeof padded);
		other[10] = (uint8_t)type;
		ck_assert_int_eq(try_bytes(minirpc_compressor_snappy(), other, sizeof other),
				 -EBADMSG);
	}
	memcpy(other, padded, sizeof padded);
	other[sizeof other - 1] ^= 1; /* not what its checksum says */
	ck_assert_int_eq(try_bytes(minirpc_compressor_snappy(), other, sizeof other), -EBADMSG);
	ck_assert_int_eq(try_bytes(minirpc_compressor_snappy(), padded + 10, sizeof padded - 10),
			 -EBADMSG);
}
END_TEST

START_TEST(members_of_gzip_may_follow_one_another) /* RFC 1952, 2.2 */
{
	struct mrpc_part *one = compress(minirpc_compressor_gzip(), "hello ", 6);
	struct mrpc_part *two = compress(minirpc_compressor_gzip(), "world", 5), *both;

	both = mrpc_part_new(NULL, one->len + two->len);
	memcpy(mrpc_part_data(both), mrpc_part_data(one), one->len);
	memcpy(mrpc_part_data(both) + one->len, mrpc_part_data(two), two->len);
	check_same(minirpc_compressor_gzip(), both, "hello world", 11, 11);
	ck_assert_int_eq(try(minirpc_compressor_gzip(), both, 10), -EMSGSIZE);
	mrpc_part_free(one);
	mrpc_part_free(two);
	mrpc_part_free(both);
}
END_TEST

START_TEST(without_memory_nothing_is_lost)
{
	uint8_t *data = make_data(100000);

	for (int c = 0; c < count; c++) {
		struct mrpc_part *part = NULL;
		size_t fail = 1;
		int r;

		do {
			alloc_fail_at(fail++, false);
			r = mrpc_part_compress(&part, compressors[c], NULL, data, 100000);
			ck_assert(r == 0 || r == -ENOMEM);
		} while (r != 0);
		for (fail = 1;; fail++) {
			alloc_fail_at(fail, false);
			r = try(compressors[c], part, LIMIT);
			ck_assert(r == 0 || r == -ENOMEM);
			if (r == 0)
				break;
		}
		ck_assert_uint_gt(fail, 1);
		mrpc_part_free(part);
		ck_assert_uint_eq(alloc_live_bytes(), 0);
	}
	free(data);
}
END_TEST

/* ---- The sink, and compressors of others ---- */

typedef int put_fn(void *sink, const void *bytes, size_t len);

/* Puts a hundred bytes whatever it is told, and claims success. */
static int put_deaf(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	(void)user;
	(void)data;
	(void)len;
	for (int i = 0; i < 100; i++)
		put(sink, "x", 1);
	return 0;
}

static int put_error(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	(void)data;
	(void)len;
	put(sink, "x", 1);
	return *(const int *)user;
}

START_TEST(a_compressor_that_does_not_listen_changes_nothing)
{
	static const struct minirpc_compressor deaf = { .name = "deaf", .decompress = put_deaf };
	struct mrpc_part *part = bytes("", 0), *whole;

	ck_assert_int_eq(try(&deaf, part, 99), -EMSGSIZE);
	ck_assert_int_eq(mrpc_part_decompress(&whole, &deaf, part, 100), 0);
	ck_assert_uint_eq(whole->len, 100);
	mrpc_part_free(whole);
	mrpc_part_free(part);
}
END_TEST

START_TEST(what_a_compressor_returns_becomes_one_of_our_errors)
{
	static const int errors[] = { -EBADMSG, -EAGAIN, -EINVAL, 1, -1000000 };

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct minirpc_compressor odd = { .name = "odd",
						  .user = (void *)(uintptr_t)&errors[i],
						  .compress = put_error,
						  .decompress = put_error };
		struct mrpc_part *part;

		ck_assert_int_eq(mrpc_part_compress(&part, &odd, NULL, "a", 1), -EIO);
		ck_assert_int_eq(try_bytes(&odd, "a", 1), -EBADMSG);
	}
}
END_TEST

/* ---- Names ---- */

static struct minirpc_compressor one, two;

static int init(struct mrpc_compressors *table, const char *a, const char *b)
{
	one = (struct minirpc_compressor){ a, .compress = put_deaf, .decompress = put_deaf };
	two = (struct minirpc_compressor){ b, .compress = put_deaf, .decompress = put_deaf };
	return mrpc_compressors_init(
		table,
		(const struct minirpc_compressor *const[]){ &one, b == NULL ? NULL : &two, NULL },
		false);
}

START_TEST(the_table_has_the_applications_first_and_then_gzip_and_deflate)
{
	struct mrpc_compressors table;

	ck_assert_int_eq(mrpc_compressors_init(&table, NULL, false), 0);
	ck_assert_str_eq(table.accept, "gzip,deflate");
	ck_assert_uint_eq(table.accept_len, strlen(table.accept));
	ck_assert_ptr_eq(mrpc_compressors_find(&table, "gzip", 4), minirpc_compressor_gzip());
	ck_assert_ptr_null(mrpc_compressors_find(&table, "gzi", 3));
	ck_assert_ptr_null(mrpc_compressors_find(&table, "gzipp", 5));
	ck_assert_ptr_null(mrpc_compressors_find(&table, "", 0));

	ck_assert_int_eq(init(&table, "x-lz4.1+2_3", "deflate"), 0);
	ck_assert_str_eq(table.accept, "x-lz4.1+2_3,deflate,gzip");
	ck_assert_ptr_ne(mrpc_compressors_find(&table, "deflate", 7), minirpc_compressor_deflate());
	ck_assert_str_eq(mrpc_no_compressors.accept, "identity");
	ck_assert_int_eq(mrpc_compressors_init(&table, NULL, true), 0);
	ck_assert_uint_eq(table.count, 0);
	ck_assert_str_eq(table.accept, "identity");
}
END_TEST

START_TEST(names_that_are_none_or_come_twice_are_refused)
{
	static const char *const bad[] = { "",
					   "identity",
					   "GZIP",
					   "a b",
					   "a,b",
					   "\xC3\xA4",
					   "a23456789012345678901234567890123" };
	struct minirpc_compressor many[14];
	const struct minirpc_compressor *list[15] = { NULL };
	struct mrpc_compressors table;
	char names[14][33];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(init(&table, bad[i], NULL), -EINVAL);
	ck_assert_int_eq(init(&table, "a", "a"), -EINVAL);
	ck_assert_int_eq(
		mrpc_compressors_init(&table,
				      (const struct minirpc_compressor *const[]){
					      &(struct minirpc_compressor){ .name = "a" }, NULL },
				      false),
		-EINVAL);

	for (int i = 0; i < 14; i++) { /* twelve, with the longest names, and no more */
		memset(names[i], 'a' + i, 32);
		names[i][32] = '\0';
		many[i] = (struct minirpc_compressor){ .name = names[i],
						       .compress = put_deaf,
						       .decompress = put_deaf };
		list[i] = &many[i];
		ck_assert_int_eq(mrpc_compressors_init(&table, list, false), i < 12 ? 0 : -EINVAL);
	}
}
END_TEST

START_TEST(a_choice_is_a_known_name_or_none)
{
	const struct minirpc_compressor *chosen;
	struct mrpc_compressors table;

	mrpc_compressors_init(&table, NULL, false);
	ck_assert_int_eq(mrpc_compressors_choose(&table, "deflate", &chosen), 0);
	ck_assert_ptr_eq(chosen, minirpc_compressor_deflate());
	ck_assert_int_eq(mrpc_compressors_choose(&table, "identity", &chosen), 0);
	ck_assert_ptr_null(chosen);
	ck_assert_int_eq(mrpc_compressors_choose(&table, NULL, &chosen), 0);
	ck_assert_ptr_null(chosen);
	ck_assert_int_eq(mrpc_compressors_choose(&table, "sdch", &chosen), -EINVAL);
	ck_assert_int_eq(mrpc_compressors_choose(&table, "", &chosen), -EINVAL);
}
END_TEST

START_TEST(a_list_of_encodings_has_commas_and_spaces) /* C-4 */
{
	static const char *const yes[] = { "gzip",          "identity,gzip",
					   "gzip,identity", "identity, deflate, gzip",
					   " ,, gzip\t",    "a,gzip ,b" };
	static const char *const no[] = { "",       "identity", "gzipp", "gzi",
					  "x-gzip", "gzip;q=1", "GZIP",  "deflate,,gz ip" };

	struct mrpc_compressors table;

	mrpc_compressors_init(&table, NULL, false);
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		ck_assert_uint_eq(mrpc_compressors_in(&table, yes[i], strlen(yes[i])) & 1, 1);
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		ck_assert_uint_eq(mrpc_compressors_in(&table, no[i], strlen(no[i])) & 1, 0);
	ck_assert_uint_eq(mrpc_compressors_in(&table, "gzip,deflate", 12), 3);
	ck_assert_uint_eq(mrpc_compressors_in(&table, "gzip,deflate", 11), 1);
	ck_assert_uint_eq(mrpc_compressors_in(&table, "gzip,deflate", 4), 1);
	ck_assert_uint_eq(mrpc_compressors_in(&mrpc_no_compressors, "gzip", 4), 0);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("wire/compress");
	TCase *t = tcase_create("compress");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, messages_of_every_size_come_back_as_they_were);
	tcase_add_test(t, a_message_at_the_limit_passes_and_one_byte_more_is_refused);
	tcase_add_test(t, a_bomb_costs_its_limit_and_no_more);
	tcase_add_test(t, a_small_message_costs_little_memory);
	tcase_add_test(t, what_waits_to_be_sent_has_no_room_to_spare);
	tcase_add_test(t, a_truncated_message_is_corrupt);
	tcase_add_test(t, no_bytes_at_all_are_corrupt);
	tcase_add_test(t, bytes_behind_the_end_are_corrupt);
	tcase_add_test(t, a_changed_byte_never_changes_the_message);
	tcase_add_test(t, gzip_is_rfc_1952_and_deflate_is_rfc_1950);
	tcase_add_test(t, the_optional_ones_read_what_others_write);
	tcase_add_test(t, a_snappy_stream_may_hold_padding_and_no_chunk_that_is_unknown);
	tcase_add_test(t, members_of_gzip_may_follow_one_another);
	tcase_add_test(t, without_memory_nothing_is_lost);
	tcase_add_test(t, a_compressor_that_does_not_listen_changes_nothing);
	tcase_add_test(t, what_a_compressor_returns_becomes_one_of_our_errors);
	tcase_add_test(t, the_table_has_the_applications_first_and_then_gzip_and_deflate);
	tcase_add_test(t, names_that_are_none_or_come_twice_are_refused);
	tcase_add_test(t, a_choice_is_a_known_name_or_none);
	tcase_add_test(t, a_list_of_encodings_has_commas_and_spaces);
	suite_add_tcase(s, t);
	return s;
}
