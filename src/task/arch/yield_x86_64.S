/* cosy_yield for x86-64: the plain case straight from one task to the next, without a C frame to return through.
 *
 * A return after a switch is mispredicted, because the processor predicts returns from the order of calls; so this function is the only one
 * between the task's own code and the switch, and it leaves by a jump. The queue operations are those of cosy_ready_append and of
 * switch_away in run.c; offsets are checked in run.c.
 */
#if defined(__x86_64__)

	.equ	THREAD_MAKING, 24
	.equ	NODE_NEXT, 0
	.equ	NODE_KIND, 8
	.equ	NODE_FLAGS, 10
	.equ	TASK_SP, 16
	.equ	TASK_LOOP, 24
	.equ	LOOP_HEAD, 0
	.equ	LOOP_TAIL, 8
	.equ	LOOP_SKIP, 44
	.equ	LOOP_TURNS, 64
	.equ	KIND_MARKER, 0
	.equ	KIND_TASK, 1
	.equ	FLAG_MUST_CANCEL, 1
	.equ	FLAGS_SLOW, 7

	.text
	.globl	cosy_yield
	.type	cosy_yield, @function
	.p2align 5
cosy_yield:
	.cfi_startproc
	endbr64
	movq	cosy_thread_@gottpoff(%rip), %rax
	movq	%fs:(%rax), %rdi		/* the running task */
	testq	%rdi, %rdi
	je	cosy_yield_slowly
	testb	$FLAGS_SLOW, NODE_FLAGS(%rdi)
	jne	cosy_yield_slowly
	cmpq	$0, %fs:THREAD_MAKING(%rax)	/* calls in the making must be taken along */
	jne	cosy_yield_slowly
	movq	TASK_LOOP(%rdi), %rsi
	movq	LOOP_HEAD(%rsi), %rdx		/* the next one */
	movq	LOOP_TAIL(%rsi), %rcx
	movq	%rdi, (%rcx)			/* behind the last one, before which at least the marker stands */
	movq	%rdi, LOOP_TAIL(%rsi)
	cmpb	$KIND_TASK, NODE_KIND(%rdx)
	jne	turn_ends
	.cfi_remember_state
take_rdx:
	movq	NODE_NEXT(%rdx), %rcx
	movq	%rcx, LOOP_HEAD(%rsi)
	movq	%rdx, %fs:(%rax)

	/* the frame of cosy_switch, resumed at yield_resumed, with our own return address above it */
	leaq	yield_resumed(%rip), %r8
	leaq	-56(%rsp), %rsp
	.cfi_adjust_cfa_offset 56
	movq	%r8, 48(%rsp)
	movq	%rbp, 40(%rsp)
	.cfi_rel_offset rbp, 40
	movq	%rbx, 32(%rsp)
	.cfi_rel_offset rbx, 32
	movq	%r12, 24(%rsp)
	.cfi_rel_offset r12, 24
	movq	%r13, 16(%rsp)
	.cfi_rel_offset r13, 16
	movq	%r14, 8(%rsp)
	.cfi_rel_offset r14, 8
	movq	%r15, (%rsp)
	.cfi_rel_offset r15, 0
	movq	%rsp, TASK_SP(%rdi)
	movq	TASK_SP(%rdx), %rsp
	movq	(%rsp), %r15
	movq	8(%rsp), %r14
	movq	16(%rsp), %r13
	movq	24(%rsp), %r12
	movq	32(%rsp), %rbx
	movq	40(%rsp), %rbp
	.cfi_same_value rbp
	.cfi_same_value rbx
	.cfi_same_value r12
	.cfi_same_value r13
	.cfi_same_value r14
	.cfi_same_value r15
	movq	48(%rsp), %rcx
	cmpq	%r8, %rcx			/* the next one yielded too: straight to its own code, one jump less */
	jne	1f
	testb	$FLAG_MUST_CANCEL, NODE_FLAGS(%rdx)
	jne	1f
	movq	56(%rsp), %rcx
	leaq	64(%rsp), %rsp
	xorl	%eax, %eax
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rcx
	jmp	*%rcx
1:	leaq	56(%rsp), %rsp
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rcx
	jmp	*%rcx

/* The head is not a task that goes on. When it is the marker and the kernel need not be asked yet, the next turn begins
 * here (cosy_loop_next_turn); all else is for C, which finds the running task queued. */
	.cfi_restore_state
turn_ends:
	cmpb	$KIND_MARKER, NODE_KIND(%rdx)
	jne	cosy_yield_queued
	movl	LOOP_SKIP(%rsi), %r8d
	movq	NODE_NEXT(%rdx), %rcx		/* the first of the next turn: at least the running task */
	testl	%r8d, %r8d
	je	cosy_yield_queued
	cmpb	$KIND_TASK, NODE_KIND(%rcx)
	jne	cosy_yield_queued
	decl	%r8d
	movl	%r8d, LOOP_SKIP(%rsi)
	incq	LOOP_TURNS(%rsi)
	movq	%rdx, (%rdi)			/* the marker goes behind the running task, which is the last */
	movq	%rdx, LOOP_TAIL(%rsi)
	movq	%rcx, %rdx
	jmp	take_rdx
	.cfi_endproc
	.size	cosy_yield, .-cosy_yield

/* Registers are back, the return address lies at rsp: as at the entry of cosy_yield. */
	.type	yield_resumed, @function
	.p2align 4
	.cfi_startproc
	nop				/* the unwinder looks at pc - 1 */
yield_resumed:
	endbr64
	movq	cosy_thread_@gottpoff(%rip), %rax
	movq	%fs:(%rax), %rdi
	testb	$FLAG_MUST_CANCEL, NODE_FLAGS(%rdi)
	jne	1f
	xorl	%eax, %eax
	popq	%rcx
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rcx
	jmp	*%rcx
1:	.cfi_def_cfa rsp, 8
	.cfi_offset rip, -8
	andw	$~FLAG_MUST_CANCEL, NODE_FLAGS(%rdi)
	movl	$-125, %eax		/* -ECANCELED */
	ret
	.cfi_endproc
	.size	yield_resumed, .-yield_resumed

	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0

#endif

	.section .note.GNU-stack, "", %progbits
