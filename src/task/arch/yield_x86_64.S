/* cosy_yield for x86-64: the plain case straight from one task to the next, without a C frame to return through.
 *
 * A return after a switch is mispredicted, because the processor predicts returns from the order of calls; so this
 * function is the only one between the task's own code and the switch, and it leaves by a jump. The queue operations
 * are those of cosy_ready_append and of switch_away in run.c; offsets are checked in run.c.
 */
#if defined(__x86_64__)

	.equ	THREAD_LOOP, 8
	.equ	THREAD_MAKING, 24
	.equ	NODE_KIND, 8
	.equ	NODE_FLAGS, 10
	.equ	TASK_SP, 16
	.equ	TASK_RESULT, 40
	.equ	LOOP_HEAD, 0
	.equ	LOOP_TAIL, 8
	.equ	LOOP_STOP, 16
	.equ	LOOP_SKIP, 52
	.equ	KIND_MARKER, 0
	.equ	KIND_TASK, 1
	.equ	FLAGS_SLOW, 7

	.text
	.globl	cosy_yield
	.type	cosy_yield, @function
	.p2align 6				/* measured: a tenth faster than other places */
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
	movq	%fs:THREAD_LOOP(%rax), %rsi	/* not by way of the task: each switch would wait for the one before */
	movq	$0, TASK_RESULT(%rdi)
	movq	LOOP_TAIL(%rsi), %rcx
	movq	LOOP_HEAD(%rsi), %r9
	movq	%rdi, (%rcx)
	addq	$8, %rcx
	movq	(%r9), %rdx			/* the next one: before us at least the marker stands */
	movq	%rcx, LOOP_TAIL(%rsi)
	addq	$8, %r9
	cmpq	LOOP_STOP(%rsi), %rcx
	je	cosy_yield_crowded
	cmpb	$KIND_TASK, NODE_KIND(%rdx)
	jne	turn_ends
	.cfi_remember_state
take_rdx:
	movq	%r9, LOOP_HEAD(%rsi)
	movq	%rdx, %fs:(%rax)

	/* the frame of cosy_switch, which hands the next one the result of its wait */
	leaq	-48(%rsp), %rsp
	.cfi_adjust_cfa_offset 48
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
	movq	TASK_RESULT(%rdx), %rax
	movq	48(%rsp), %rcx
	leaq	56(%rsp), %rsp
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rcx
	.cfi_same_value rbp
	.cfi_same_value rbx
	.cfi_same_value r12
	.cfi_same_value r13
	.cfi_same_value r14
	.cfi_same_value r15
	jmp	*%rcx

/* The head is not a task that goes on. When it is the marker and the kernel need not be asked yet, the next turn begins
 * here (cosy_loop_next_turn); all else is for C, which finds the running task queued. */
	.cfi_restore_state
	.p2align 5
turn_ends:
	cmpb	$KIND_MARKER, NODE_KIND(%rdx)
	jne	cosy_yield_queued
	movl	LOOP_SKIP(%rsi), %r8d
	movq	(%r9), %r10			/* the first of the next turn: at least the running task, or a joint */
	testl	%r8d, %r8d
	je	cosy_yield_queued
	cmpb	$KIND_TASK, NODE_KIND(%r10)
	jne	cosy_yield_queued
	leaq	8(%rcx), %r11
	cmpq	LOOP_STOP(%rsi), %r11
	je	cosy_yield_queued
	decl	%r8d
	movl	%r8d, LOOP_SKIP(%rsi)
	movq	%rdx, (%rcx)			/* the marker goes behind the running task, which is the last */
	movq	%r11, LOOP_TAIL(%rsi)
	addq	$8, %r9
	movq	%r10, %rdx
	jmp	take_rdx
	.cfi_endproc
	.size	cosy_yield, .-cosy_yield

	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0

#endif

	.section .note.GNU-stack, "", %progbits
