/* The stack switch for x86-64 (System V). switch.h tells what each function does and why it looks so. */
#if defined(__x86_64__)

	.text

/* Pushes the callee-saved registers under the return address. */
	.macro save_registers
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
	.endm

/* Loads them again; the return address stays on the stack. */
	.macro load_registers
	movq	(%rsp), %r15
	movq	8(%rsp), %r14
	movq	16(%rsp), %r13
	movq	24(%rsp), %r12
	movq	32(%rsp), %rbx
	movq	40(%rsp), %rbp
	.endm

/* The unwinder's view between popping everything and the jump: the caller's pc is in rcx. */
	.macro popped_to_rcx
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rcx
	.cfi_same_value rbp
	.cfi_same_value rbx
	.cfi_same_value r12
	.cfi_same_value r13
	.cfi_same_value r14
	.cfi_same_value r15
	.endm

	.macro function name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.p2align 4
\name:
	.endm

	.macro	switch
	save_registers
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp		/* the same layout on the other stack: what the unwinder knows stays true */
	load_registers
	movq	48(%rsp), %rcx
	leaq	56(%rsp), %rsp
	popped_to_rcx
	jmp	*%rcx
	.endm

	function cosy_switch
	.cfi_startproc
	endbr64
	xorl	%eax, %eax
	switch
	.cfi_endproc
	.size	cosy_switch, .-cosy_switch

/* The same, and rdx becomes the result of the call that goes on there: who leaves by it in his last act needs no frame
 * to come back to. */
	function cosy_switch_with
	.cfi_startproc
	endbr64
	movq	%rdx, %rax
	switch
	.cfi_endproc
	.size	cosy_switch_with, .-cosy_switch_with

	function cosy_switch_jump
	.cfi_startproc
	endbr64
	movq	%rdi, %rsp
	.cfi_def_cfa rsp, 56
	.cfi_offset rip, -8
	.cfi_offset rbp, -16
	.cfi_offset rbx, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	.cfi_offset r15, -56
	load_registers
	movq	%rsi, %rax
	movq	48(%rsp), %rcx
	leaq	56(%rsp), %rsp
	popped_to_rcx
	jmp	*%rcx
	.cfi_endproc
	.size	cosy_switch_jump, .-cosy_switch_jump

/* rdi save, rsi top, rdx entry, rcx arg. The call and the final ret pair up for the processor when entry comes back. */
	function cosy_switch_start
	.cfi_startproc
	endbr64
	save_registers
	movq	%rsp, (%rdi)
	movq	%rcx, %rdi
	movq	%rsi, %rsp
	xorl	%ebp, %ebp
	.cfi_endproc
	.cfi_startproc
	.cfi_undefined rip		/* unwinding ends here: this is the first frame of a task's stack */
	callq	*%rdx
	nop
	.cfi_endproc
	.cfi_startproc
	movq	%rax, %rsp
	.cfi_def_cfa rsp, 56
	.cfi_offset rip, -8
	.cfi_offset rbp, -16
	.cfi_offset rbx, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	.cfi_offset r15, -56
	load_registers
	xorl	%eax, %eax
	leaq	48(%rsp), %rsp
	.cfi_def_cfa rsp, 8
	.cfi_same_value rbp
	.cfi_same_value rbx
	.cfi_same_value r12
	.cfi_same_value r13
	.cfi_same_value r14
	.cfi_same_value r15
	ret
	.cfi_endproc
	.size	cosy_switch_start, .-cosy_switch_start

/* rdi fn, rsi arg, rdx top */
	function cosy_switch_hop
	.cfi_startproc
	.cfi_signal_frame		/* the caller's frame may lie above or below: debuggers must not mind */
	endbr64
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	movq	%rdx, %rsp
	movq	%rdi, %rax
	movq	%rsi, %rdi
	callq	*%rax
	movq	%rbp, %rsp
	.cfi_def_cfa_register rsp
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	ret
	.cfi_endproc
	.size	cosy_switch_hop, .-cosy_switch_hop

/* Branch targets are marked (IBT); no claim of shadow stacks, which a plain switch would break. */
	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0

#endif

	.section .note.GNU-stack, "", %progbits
