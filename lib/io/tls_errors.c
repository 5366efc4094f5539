/* SPDX-License-Identifier: MIT */
/* OpenSSL's error queue: a global of the thread that we share with our host. See tls_own.h. */
#include "io/tls_own.h"

#include <openssl/err.h>
#include <stdio.h>

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from == NULL ? "" : from);
}

void mrpc_tls_errors_begin(struct mrpc_tls_errors *errors)
{
	const char *file, *function, *data;
	unsigned long code;
	int line, flags;

	errors->count = 0;
	if (ERR_peek_error() == 0)
		return;
	while (errors->count < sizeof errors->kept / sizeof errors->kept[0] &&
	       (code = ERR_get_error_all(&file, &line, &function, &data, &flags)) != 0) {
		struct mrpc_tls_error *kept = &errors->kept[errors->count++];

		kept->code = code;
		kept->line = line;
		copy(kept->file, sizeof kept->file, file);
		copy(kept->function, sizeof kept->function, function);
		copy(kept->data, sizeof kept->data, (flags & ERR_TXT_STRING) != 0 ? data : NULL);
	}
}

void mrpc_tls_errors_end(const struct mrpc_tls_errors *errors)
{
	ERR_clear_error();
	for (unsigned i = 0; i < errors->count; i++) {
		const struct mrpc_tls_error *kept = &errors->kept[i];

		ERR_new();
		ERR_set_debug(kept->file, kept->line, kept->function);
		if (kept->data[0] != '\0')
			ERR_set_error(ERR_GET_LIB(kept->code), ERR_GET_REASON(kept->code), "%s",
				      kept->data);
		else
			ERR_set_error(ERR_GET_LIB(kept->code), ERR_GET_REASON(kept->code), NULL);
	}
}

bool mrpc_tls_errors_say_no_memory(void)
{
	unsigned long code;
	bool found = false;

	while ((code = ERR_get_error()) != 0)
		found = found || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
	return found;
}
