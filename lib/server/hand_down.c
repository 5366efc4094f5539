/* SPDX-License-Identifier: MIT */
/* Hand-down: the server's list of keys, for the calls that its handlers make on behalf of theirs
 * [D-5]. Who copies the fields is call/call.c. */
#include "server/server.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

/* Pointers and texts share one block: [pointer]...[NULL][text\0]... */
int mrpc_server_copy_hand_down(char ***ret_keys, const char *const *keys)
{
	size_t count = 0, bytes = 0;
	char **copy, *text;

	for (; keys[count] != NULL; count++) {
		size_t len = strlen(keys[count]);

		if (!mrpc_metadata_key_is_valid(keys[count], len) ||
		    mrpc_metadata_key_is_reserved(keys[count], len))
			return -EINVAL;
		bytes += len + 1;
	}
	copy = mrpc_alloc((count + 1) * sizeof *copy + bytes);
	if (copy == NULL)
		return -ENOMEM;
	text = (char *)(copy + count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(keys[i]) + 1;

		copy[i] = memcpy(text, keys[i], size);
		text += size;
	}
	copy[count] = NULL;
	*ret_keys = copy;
	return 0;
}
