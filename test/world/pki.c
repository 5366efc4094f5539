/* SPDX-License-Identifier: MIT */
/* A small certification authority. See pki.h. */
#include "world/pki.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DAY (24L * 3600)

static char *to_string(BIO *bio)
{
	char *data, *copy;
	long len = BIO_get_mem_data(bio, &data);

	ck_assert_int_gt(len, 0);
	copy = strndup(data, (size_t)len);
	BIO_free(bio);
	return copy;
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* No configuration syntax can say a NUL. */
static void add_raw_name(X509 *cert, const char *name, size_t len)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *general = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	ck_assert_int_eq(ASN1_STRING_set(text, name, (int)len), 1);
	GENERAL_NAME_set0_value(general, GEN_DNS, text);
	sk_GENERAL_NAME_push(names, general);
	ck_assert_int_eq(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

static struct pki_identity *begin(const char *cn, long from, long until, const char *curve)
{
	struct pki_identity *identity = calloc(1, sizeof *identity);
	X509_NAME *name;

	identity->key = EVP_EC_gen(curve);
	ck_assert_ptr_nonnull(identity->key);
	identity->cert = X509_new();
	X509_set_version(identity->cert, 2);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(identity->cert),
				(uint64_t)(uintptr_t)identity);
	X509_gmtime_adj(X509_getm_notBefore(identity->cert), from);
	X509_gmtime_adj(X509_getm_notAfter(identity->cert), until);
	X509_set_pubkey(identity->cert, identity->key);
	name = X509_get_subject_name(identity->cert);
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
						    (const unsigned char *)cn, -1, -1, 0),
			 1);
	return identity;
}

static struct pki_identity *finish(struct pki_identity *identity, const struct pki_identity *ca)
{
	BIO *bio;

	X509_set_issuer_name(identity->cert, X509_get_subject_name(ca->cert));
	ck_assert_int_gt(X509_sign(identity->cert, ca->key, EVP_sha256()), 0);

	bio = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_X509(bio, identity->cert), 1);
	identity->cert_pem = to_string(bio);
	bio = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, identity->key, NULL, NULL, 0, NULL, NULL),
			 1);
	identity->key_pem = to_string(bio);
	return identity;
}

struct pki_identity *pki_ca(const char *cn)
{
	struct pki_identity *ca = begin(cn, -DAY, DAY, "P-256");

	add_extension(ca->cert, ca->cert, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(ca->cert, ca->cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	add_extension(ca->cert, ca->cert, NID_subject_key_identifier, "hash");
	return finish(ca, ca);
}

struct pki_identity *pki_leaf(const struct pki_identity *ca, const struct pki_leaf *leaf)
{
	bool dated = leaf->from != 0 || leaf->until != 0;
	struct pki_identity *identity =
		begin(leaf->cn == NULL ? "test" : leaf->cn, dated ? leaf->from : -DAY,
		      dated ? leaf->until : DAY, leaf->curve == NULL ? "P-256" : leaf->curve);
	const char *san = leaf->san == NULL ? "DNS:localhost,IP:127.0.0.1,IP:::1" : leaf->san;
	const char *eku = leaf->eku == NULL ? "serverAuth" : leaf->eku;

	if (ca == NULL)
		ca = identity;
	add_extension(identity->cert, ca->cert, NID_basic_constraints, "CA:FALSE");
	if (leaf->san_raw != NULL)
		add_raw_name(identity->cert, leaf->san_raw, leaf->san_raw_len);
	else if (san[0] != '\0')
		add_extension(identity->cert, ca->cert, NID_subject_alt_name, san);
	if (eku[0] != '\0')
		add_extension(identity->cert, ca->cert, NID_ext_key_usage, eku);
	return finish(identity, ca);
}

void pki_free(struct pki_identity *identity)
{
	if (identity == NULL)
		return;
	X509_free(identity->cert);
	EVP_PKEY_free(identity->key);
	free(identity->cert_pem);
	free(identity->key_pem);
	free(identity);
}
