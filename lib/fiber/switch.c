/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context switch: the registers that a function must preserve go onto the old stack,
 * the stack pointer changes, they come from the new one. So a switch costs about as much
 * as a call.
 */
#include <stdint.h>

#include "fiber/fiber_internal.h"

#if defined(__x86_64__)

__asm__(".text\n"
	".globl fiber_switch\n"
	".type fiber_switch, @function\n"
	"fiber_switch:\n"
	"	endbr64\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	subq $8, %rsp\n"
	"	stmxcsr (%rsp)\n"
	"	fnstcw 4(%rsp)\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	ldmxcsr (%rsp)\n"
	"	fldcw 4(%rsp)\n"
	"	addq $8, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size fiber_switch, .-fiber_switch\n"
	/* First entry: the argument is in r12, the function in r13. */
	".globl fiber_entry\n"
	".type fiber_entry, @function\n"
	"fiber_entry:\n"
	"	xorl %ebp, %ebp\n"
	"	movq %r12, %rdi\n"
	"	callq *%r13\n"
	"	ud2\n"
	".size fiber_entry, .-fiber_entry\n"
	".section .note.GNU-stack,\"\",@progbits\n"
	".text\n");

void fiber_entry(void);

void *
fiber_context_make(char *top, void (*entry)(void *arg), void *arg)
{
	/* mxcsr and x87 control word, r15 r14 r13 r12 rbx rbp, return address, padding so
	 * that the stack is aligned as at a call. */
	uint64_t *sp = (uint64_t *)(void *)top - 10;

	sp[0] = 0x037f00001f80u; /* both control words as a new thread has them */
	sp[1] = 0;
	sp[2] = 0;
	sp[3] = (uint64_t)(uintptr_t)entry;
	sp[4] = (uint64_t)(uintptr_t)arg;
	sp[5] = 0;
	sp[6] = 0;
	sp[7] = (uint64_t)(uintptr_t)fiber_entry;
	sp[8] = 0;
	sp[9] = 0;
	return sp;
}

#elif defined(__aarch64__)

__asm__(".text\n"
	".globl fiber_switch\n"
	".type fiber_switch, %function\n"
	"fiber_switch:\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
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
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size fiber_switch, .-fiber_switch\n"
	".globl fiber_entry\n"
	".type fiber_entry, %function\n"
	"fiber_entry:\n"
	"	mov x29, #0\n"
	"	mov x0, x19\n"
	"	blr x20\n"
	"	brk #1\n"
	".size fiber_entry, .-fiber_entry\n");

void fiber_entry(void);

void *
fiber_context_make(char *top, void (*entry)(void *arg), void *arg)
{
	uint64_t *sp = (uint64_t *)(void *)top - 20;

	for (int i = 0; i < 20; i++)
		sp[i] = 0;
	sp[0] = (uint64_t)(uintptr_t)arg;
	sp[1] = (uint64_t)(uintptr_t)entry;
	sp[11] = (uint64_t)(uintptr_t)fiber_entry;
	return sp;
}

#else
#error "fiber_switch() is written for x86-64 and aarch64"
#endif
