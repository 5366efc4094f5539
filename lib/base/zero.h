/* SPDX-License-Identifier: MIT */
/* Zero: memset for what is some hundred bytes long. When gcc knows such a length it writes `rep stosq`, which
 * takes longer to begin than libc's memset takes to end: a call and its stream together cost 70 instructions
 * more. So it must not know. */
#ifndef MRPC_BASE_ZERO_H
#define MRPC_BASE_ZERO_H

#include <string.h>

static inline void mrpc_zero(void *p, size_t size)
{
	__asm__("" : "+r"(size));
	memset(p, 0, size);
}

#endif
