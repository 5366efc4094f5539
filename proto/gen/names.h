/* SPDX-License-Identifier: MIT */
/* How names of a .proto become names of C.
 *
 *	rpc.GetReq          Rpc__GetReq, rpc__get_req__descriptor, RPC__GET_REQ__INIT    as protoc-gen-c
 *	rpc.Cache.Get       rpc_cache_get, rpc_cache_get_wait, ...                       ours
 *	rpc/cache.proto     rpc/cache.minirpc.h, minirpc_file_rpc__cache
 *
 * Words are parted where an upper-case letter follows one that is not: GetByToken is get_by_token,
 * HTTPGet is httpget. That is protoc-gen-c's rule; one rule for all names is easier to foresee than
 * a nicer second one. */
#ifndef GEN_NAMES_H
#define GEN_NAMES_H

#include "text.h"

const char *name_type(struct arena *arena, const char *full_name);  /* Rpc__GetReq */
const char *name_lower(struct arena *arena, const char *full_name); /* rpc__get_req */
const char *name_upper(struct arena *arena, const char *full_name); /* RPC__GET_REQ */

/* rpc_cache: the pieces of a full name in lower case, one underscore between them. */
const char *name_verb(struct arena *arena, const char *full_name);

/* The same for a single word that stands alone, as a member of a struct: keywords of C and C++, and
 * names that system headers have as macros, get an underscore behind. */
const char *name_member(struct arena *arena, const char *word);

/* "rpc/cache" for "rpc/cache.proto": outputs are named after it, as protoc-gen-c does. */
const char *name_stem(struct arena *arena, const char *path);

/* "rpc__cache" for "rpc/cache.proto": never the same for two paths. */
const char *name_file(struct arena *arena, const char *path);

#endif
