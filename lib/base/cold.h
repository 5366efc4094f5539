/* SPDX-License-Identifier: MIT */
/* Cold: a path that is rarely taken gets a function of its own. Inlined, its calls would make the function
 * around it save registers each time that it is not taken, which costs a short one more than what it does. */
#ifndef MRPC_BASE_COLD_H
#define MRPC_BASE_COLD_H

#define MRPC_COLD __attribute__((noinline, cold))

#endif
