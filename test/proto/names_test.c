/* SPDX-License-Identifier: MIT */
#include "names.h"
#include "run_suite.h"

START_TEST(messages_are_named_as_protoc_gen_c_names_them)
{
	struct arena arena = { NULL };

	ck_assert_str_eq(name_type(&arena, "rpc.GetReq"), "Rpc__GetReq");
	ck_assert_str_eq(name_lower(&arena, "rpc.GetReq"), "rpc__get_req");
	ck_assert_str_eq(name_upper(&arena, "rpc.GetReq"), "RPC__GET_REQ");
	ck_assert_str_eq(name_type(&arena, "a.fooBar.HTTPReq.Inner_x"),
			 "A__FooBar__HTTPReq__InnerX");
	ck_assert_str_eq(name_lower(&arena, "a.fooBar.HTTPReq.Inner_x"),
			 "a__foo_bar__httpreq__inner_x");
	ck_assert_str_eq(name_type(&arena, "x1.y_2z"), "X1__Y2z");
	ck_assert_str_eq(name_lower(&arena, "x1.A2B"), "x1__a2_b");
	ck_assert_str_eq(name_type(&arena, ""), "");
	arena_free(&arena);
}
END_TEST

START_TEST(verbs_have_one_underscore_between_pieces)
{
	struct arena arena = { NULL };

	ck_assert_str_eq(name_verb(&arena, "rpc.Accounts.GetByToken"), "rpc_accounts_get_by_token");
	ck_assert_str_eq(name_verb(&arena, "a.b_c.D"), "a_b_c_d");
	ck_assert_str_eq(name_verb(&arena, "Pinger"), "pinger");
	arena_free(&arena);
}
END_TEST

START_TEST(keywords_as_members_get_an_underscore_behind)
{
	struct arena arena = { NULL };
	static const char *const taken[] = { "Register", "Return", "Do",      "Delete", "Switch",
					     "class",    "xor_eq", "Alignas", "errno",  "unix" };

	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		ck_assert_str_eq(name_member(&arena, taken[i]),
				 arena_format(&arena, "%s_", name_verb(&arena, taken[i])));
	ck_assert_str_eq(name_member(&arena, "Regis"), "regis");
	ck_assert_str_eq(name_member(&arena, "Returned"), "returned");
	ck_assert_str_eq(name_member(&arena, "eq"), "eq");
	ck_assert_str_eq(name_member(&arena, ""), "");
	arena_free(&arena);
}
END_TEST

START_TEST(no_two_paths_have_one_symbol)
{
	struct arena arena = { NULL };
	static const char *const paths[] = {
		"a/b.proto",   "a_b.proto",   "a__b.proto",   "a_/b.proto",   "a/_b.proto",
		"a.b.proto",   "a-b.proto",   "a/Z2fb.proto", "a_Z2fb.proto", "a_2fb.proto",
		"ab.proto",    "_a.proto",    "a_.proto",     "a/b_.proto",   "a.proto.proto",
		"a/b/c.proto", "a/b_c.proto", "a_b/c.proto",  "a___b.proto",  "a/.b.proto",
	};
	const size_t count = sizeof paths / sizeof *paths;

	for (size_t i = 0; i < count; i++) {
		const char *name = name_file(&arena, paths[i]);

		ck_assert_uint_eq(strspn(name,
					 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789_"),
				  strlen(name));
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(name, name_file(&arena, paths[j]));
	}
	ck_assert_str_eq(name_file(&arena, "rpc/cache.proto"), "rpc__cache");
	ck_assert_str_eq(name_file(&arena, "google/protobuf/field_mask.proto"),
			 "google__protobuf__field_mask");
	arena_free(&arena);
}
END_TEST

START_TEST(outputs_drop_the_suffix_of_the_path)
{
	struct arena arena = { NULL };

	ck_assert_str_eq(name_stem(&arena, "rpc/cache.proto"), "rpc/cache");
	ck_assert_str_eq(name_stem(&arena, "x.v2.protodevel"), "x.v2");
	ck_assert_str_eq(name_stem(&arena, "cache"), "cache");
	ck_assert_str_eq(name_stem(&arena, ".proto"), "");
	arena_free(&arena);
}
END_TEST

START_TEST(templates_claim_what_they_declare)
{
	struct arena arena = { NULL };
	struct claims claims = { .arena = &arena };
	static const struct var vars[] = { { "m", "a_b" }, { "empty", "" }, { NULL, NULL } };
	const struct scope scope = { vars, &claims, "owner" };
	struct text text = { .arena = &arena };

	text_expand(&text, &scope, "int @$m$(void);\nstruct @$m$_x { $empty$$m$ *p; };\nf(@tail");
	ck_assert_str_eq(text_string(&text), "int a_b(void);\nstruct a_b_x { a_b *p; };\nf(tail");
	ck_assert_uint_eq(claims.count, 3);
	ck_assert_str_eq(claims.list[0].name, "a_b");
	ck_assert_str_eq(claims.list[1].name, "struct a_b_x");
	ck_assert_str_eq(claims.list[2].name, "tail");
	arena_free(&arena);
}
END_TEST

START_TEST(a_name_claimed_twice_is_found_with_both_owners)
{
	struct arena arena = { NULL };
	struct claims claims = { .arena = &arena };
	const char *name, *owners[2];

	ck_assert(!claims_clash(&claims, &name, owners));
	claims_add(&claims, "b", "one");
	claims_add(&claims, "a", "two");
	claims_add(&claims, "struct b", "three");
	ck_assert(!claims_clash(&claims, &name, owners));
	claims_add(&claims, "b", "four");
	ck_assert(claims_clash(&claims, &name, owners));
	ck_assert_str_eq(name, "b");
	ck_assert_str_eq(owners[0], "one");
	ck_assert_str_eq(owners[1], "four");
	arena_free(&arena);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("names");
	TCase *t = tcase_create("names");

	tcase_add_test(t, messages_are_named_as_protoc_gen_c_names_them);
	tcase_add_test(t, verbs_have_one_underscore_between_pieces);
	tcase_add_test(t, keywords_as_members_get_an_underscore_behind);
	tcase_add_test(t, no_two_paths_have_one_symbol);
	tcase_add_test(t, outputs_drop_the_suffix_of_the_path);
	tcase_add_test(t, templates_claim_what_they_declare);
	tcase_add_test(t, a_name_claimed_twice_is_found_with_both_owners);
	suite_add_tcase(s, t);
	return s;
}
