/* SPDX-License-Identifier: MIT */
#include <minirpc/base.h>

const char *minirpc_version(void)
{
	return MINIRPC_VERSION;
}
