/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/context_internal.h"

#include <stdint.h>

#include "base/panic.h"

#if defined(FIBER_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

static void
asan_start(void **save, const struct context *to)
{
#if defined(FIBER_ASAN)
	__sanitizer_start_switch_fiber(save, to->stack, to->stack_bytes);
#else
	(void)save;
	(void)to;
#endif
}

static void
asan_finish(void *saved, const void **old_stack, size_t *old_bytes)
{
#if defined(FIBER_ASAN)
	__sanitizer_finish_switch_fiber(saved, old_stack, old_bytes);
#else
	(void)saved;
	(void)old_stack;
	(void)old_bytes;
#endif
}

#if defined(FIBER_UCONTEXT)

/* makecontext() passes ints only. */
static void
machine_entry(unsigned fn_high, unsigned fn_low, unsigned arg_high, unsigned arg_low)
{
	uintptr_t fn = (uintptr_t)(((uint64_t)fn_high << 32) | fn_low);
	uintptr_t arg = (uintptr_t)(((uint64_t)arg_high << 32) | arg_low);

	((void (*)(void *))fn)((void *)arg);
}

static void
machine_init(struct context *c, void *stack, size_t bytes, void (*fn)(void *), void *arg)
{
	uint64_t f = (uint64_t)(uintptr_t)fn;
	uint64_t a = (uint64_t)(uintptr_t)arg;

	if (getcontext(&c->machine) < 0)
		panic("getcontext failed");
	c->machine.uc_stack.ss_sp = stack;
	c->machine.uc_stack.ss_size = bytes;
	c->machine.uc_link = NULL;
	makecontext(&c->machine, (void (*)(void))machine_entry, 4, (unsigned)(f >> 32),
		    (unsigned)f, (unsigned)(a >> 32), (unsigned)a);
}

static void
machine_switch(struct context *from, struct context *to)
{
	if (swapcontext(&from->machine, &to->machine) < 0)
		panic("swapcontext failed");
}

const void *
context_sp(const struct context *c)
{
	(void)c;
	return NULL;
}

#else

/*
 * fiber_machine_switch(void **save_sp, void *load_sp): push what the calling convention
 * says a function must preserve, exchange stack pointers, pop, return. A new stack is
 * laid out as if it had just done the first half, returning to fiber_machine_entry,
 * which finds function and argument in two of the preserved registers.
 */
void fiber_machine_switch(void **save_sp, void *load_sp);
void fiber_machine_entry(void);

/* clang-format off */
#if defined(__x86_64__)
__asm__(".text\n"
	".p2align 4\n"
	".globl fiber_machine_switch\n"
	".hidden fiber_machine_switch\n"
	".type fiber_machine_switch,@function\n"
	"fiber_machine_switch:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size fiber_machine_switch,.-fiber_machine_switch\n"
	".globl fiber_machine_entry\n"
	".hidden fiber_machine_entry\n"
	".type fiber_machine_entry,@function\n"
	"fiber_machine_entry:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	movq %r12, %rdi\n"
	"	call *%r13\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	".size fiber_machine_entry,.-fiber_machine_entry\n");

enum { FRAME_WORDS = 9, FRAME_FN = 2, FRAME_ARG = 3, FRAME_RETURN = 6 };
#else
__asm__(".text\n"
	".p2align 4\n"
	".globl fiber_machine_switch\n"
	".hidden fiber_machine_switch\n"
	".type fiber_machine_switch,%function\n"
	"fiber_machine_switch:\n"
	"	.cfi_startproc\n"
	"	stp x19, x20, [sp, #-160]!\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	ldp x19, x20, [sp], #160\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size fiber_machine_switch,.-fiber_machine_switch\n"
	".globl fiber_machine_entry\n"
	".hidden fiber_machine_entry\n"
	".type fiber_machine_entry,%function\n"
	"fiber_machine_entry:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined x30\n"
	"	mov x0, x19\n"
	"	blr x20\n"
	"	brk #1\n"
	"	.cfi_endproc\n"
	".size fiber_machine_entry,.-fiber_machine_entry\n");

enum { FRAME_WORDS = 20, FRAME_ARG = 0, FRAME_FN = 1, FRAME_RETURN = 11 };
#endif
/* clang-format on */

static void
machine_init(struct context *c, void *stack, size_t bytes, void (*fn)(void *), void *arg)
{
	/* The stack pointer is a multiple of 16 when the entry makes its call. */
	uintptr_t top = ((uintptr_t)stack + bytes) & ~(uintptr_t)15;
	uintptr_t *frame = (uintptr_t *)(top - FRAME_WORDS * sizeof(uintptr_t));

	for (size_t i = 0; i < FRAME_WORDS; i++)
		frame[i] = 0;
	frame[FRAME_FN] = (uintptr_t)fn;
	frame[FRAME_ARG] = (uintptr_t)arg;
	frame[FRAME_RETURN] = (uintptr_t)fiber_machine_entry;
	c->sp = frame;
}

static void
machine_switch(struct context *from, struct context *to)
{
	fiber_machine_switch(&from->sp, to->sp);
}

const void *
context_sp(const struct context *c)
{
	return c->sp;
}

#endif

void
context_init(struct context *c, void *stack, size_t stack_bytes, void (*fn)(void *),
	     void *arg)
{
	*c = (struct context){.stack = stack, .stack_bytes = stack_bytes};
	machine_init(c, stack, stack_bytes, fn, arg);
}

void
context_switch(struct context *from, struct context *to)
{
	asan_start(&from->fake_stack, to);
	machine_switch(from, to);
	asan_finish(from->fake_stack, NULL, NULL);
}

void
context_arrive(struct context *home)
{
	asan_finish(NULL, &home->stack, &home->stack_bytes);
}

void
context_leave(struct context *from, struct context *to)
{
	/* NULL: the fake stack of this context is not needed again. */
	asan_start(NULL, to);
	machine_switch(from, to);
	panic("a dead context was switched to");
}
