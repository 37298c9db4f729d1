/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Switching the processor from one stack to another. Own code for x86-64 and AArch64;
 * elsewhere (or with FIBER_UCONTEXT defined) ucontext(3), which costs two system calls
 * per switch. The address sanitizer is told of each switch.
 *
 * Not switched: signal mask, floating-point control words, errno.
 */

#include <stddef.h>

#include "base/macros.h"

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(FIBER_UCONTEXT)
#define FIBER_UCONTEXT 1
#endif

#if defined(FIBER_UCONTEXT)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif

struct context {
#if defined(FIBER_UCONTEXT)
	ucontext_t machine;
#else
	void *sp;
#endif
	/* For the sanitizer: the stack of this context and its fake stack. */
	const void *stack;
	size_t stack_bytes;
	void *fake_stack;
};

/* Prepare a context that calls fn(arg) on the stack when it is first switched to. fn must
 * never return; it leaves with context_leave(). */
void context_init(struct context *c, void *stack, size_t stack_bytes, void (*fn)(void *),
		  void *arg);

/* Save the present state in *from and go on with *to. Returns when somebody switches
 * back. */
void context_switch(struct context *from, struct context *to);

/* The first thing that a function started by context_init() calls: tells the sanitizer
 * that we have arrived; home learns which stack we came from. */
void context_arrive(struct context *home);

/* Switch to *to for the last time: the calling context is dead. */
NORETURN void context_leave(struct context *from, struct context *to);

/* The stack pointer of a context that is switched out; NULL if unknown. */
const void *context_sp(const struct context *c);
