/* Captured calls for x86-64: the stubs that are called in place of an async function, and their replay.
 * capture.h describes the block: coroutine 0, function 8, six integer registers 16, rax 64, vector registers 80, then
 * stack words. */
#if defined(__x86_64__)

	.equ	THREAD_MAKING, 24
	.equ	THREAD_MADE, 32
	.equ	OBJECT_OUTER, 16
	.equ	OBJECT_START, 80
	.equ	OBJECT_FRAME, 96

	.text

	.macro function name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.p2align 4
\name:
	.endm

/* Finds the innermost call in the making that began in the calling frame (rbp: call.h makes sure of a frame pointer),
 * passing those that were left in the middle, and notes it. r10 = its object, r11 = offset of cosy_thread_ in
 * thread-local storage. */
	.macro find_object
	movq	cosy_thread_@gottpoff(%rip), %r11
	movq	%fs:THREAD_MAKING(%r11), %r10
1:	cmpq	%rbp, OBJECT_FRAME(%r10)
	je	2f
	movq	OBJECT_OUTER(%r10), %r10
	jmp	1b
2:	movq	%r10, %fs:THREAD_MADE(%r11)
	.endm

	.macro store_integers
	movq	OBJECT_START(%r10), %r10	/* the block */
	movq	%rdi, 16(%r10)
	movq	%rsi, 24(%r10)
	movq	%rdx, 32(%r10)
	movq	%rcx, 40(%r10)
	movq	%r8, 48(%r10)
	movq	%r9, 56(%r10)
	movq	%rax, 64(%r10)
	.endm

/* Up to three integer arguments fit into the object itself, whose fields are free before its first step: result 40,
 * scope 120, error 48. */
	function cosy_capture_inline
	.cfi_startproc
	endbr64
	find_object
	movq	%rdi, 40(%r10)
	movq	%rsi, 120(%r10)
	movq	%rdx, 48(%r10)
	xorl	%eax, %eax
	ret
	.cfi_endproc
	.size	cosy_capture_inline, .-cosy_capture_inline

	function cosy_capture_integers
	.cfi_startproc
	endbr64
	find_object
	store_integers
	xorl	%eax, %eax
	ret
	.cfi_endproc
	.size	cosy_capture_integers, .-cosy_capture_integers

	function cosy_capture_light
	.cfi_startproc
	endbr64
	find_object
	store_integers
	movaps	%xmm0, 80(%r10)
	movaps	%xmm1, 96(%r10)
	movaps	%xmm2, 112(%r10)
	movaps	%xmm3, 128(%r10)
	movups	8(%rsp), %xmm0
	movups	24(%rsp), %xmm1
	movaps	%xmm0, 144(%r10)
	movaps	%xmm1, 160(%r10)
	xorl	%eax, %eax
	ret
	.cfi_endproc
	.size	cosy_capture_light, .-cosy_capture_light

	function cosy_capture_wide
	.cfi_startproc
	endbr64
	find_object
	store_integers
	movaps	%xmm0, 80(%r10)
	movaps	%xmm1, 96(%r10)
	movaps	%xmm2, 112(%r10)
	movaps	%xmm3, 128(%r10)
	movaps	%xmm4, 144(%r10)
	movaps	%xmm5, 160(%r10)
	movaps	%xmm6, 176(%r10)
	movaps	%xmm7, 192(%r10)
	.irp	o, 0, 16, 32, 48, 64, 80, 96, 112
	movups	8+\o(%rsp), %xmm0
	movaps	%xmm0, 208+\o(%r10)
	.endr
	xorl	%eax, %eax
	ret
	.cfi_endproc
	.size	cosy_capture_wide, .-cosy_capture_wide

/* What is called when the coroutine could not be made: takes any arguments, does nothing. */
	function cosy_capture_nothing
	.cfi_startproc
	endbr64
	xorl	%eax, %eax
	ret
	.cfi_endproc
	.size	cosy_capture_nothing, .-cosy_capture_nothing

/* rdi: block. Calls its function with the captured arguments; rax is the result. */
	.macro replay name, vectors, stack_bytes, stack_offset
	function \name
	.cfi_startproc
	endbr64
	subq	$\stack_bytes + 8, %rsp
	.cfi_adjust_cfa_offset \stack_bytes + 8
	.set	o, 0
	.rept	\stack_bytes / 16
	movaps	\stack_offset+o(%rdi), %xmm0
	movaps	%xmm0, o(%rsp)
	.set	o, o + 16
	.endr
	movaps	80(%rdi), %xmm0
	movaps	96(%rdi), %xmm1
	movaps	112(%rdi), %xmm2
	movaps	128(%rdi), %xmm3
	.if	\vectors > 4
	movaps	144(%rdi), %xmm4
	movaps	160(%rdi), %xmm5
	movaps	176(%rdi), %xmm6
	movaps	192(%rdi), %xmm7
	.endif
	movq	8(%rdi), %r10
	movq	24(%rdi), %rsi
	movq	32(%rdi), %rdx
	movq	40(%rdi), %rcx
	movq	48(%rdi), %r8
	movq	56(%rdi), %r9
	movq	64(%rdi), %rax
	movq	16(%rdi), %rdi
	callq	*%r10
	addq	$\stack_bytes + 8, %rsp
	.cfi_adjust_cfa_offset -(\stack_bytes + 8)
	ret
	.cfi_endproc
	.size	\name, .-\name
	.endm

/* rdi: object, rsi: function. The borrowed fields are cleared before the function runs. */
	function cosy_capture_replay_inline
	.cfi_startproc
	endbr64
	movq	%rsi, %rax
	movq	120(%rdi), %rsi
	movq	48(%rdi), %rdx
	movq	$0, 120(%rdi)
	movq	$0, 48(%rdi)
	movq	40(%rdi), %rdi
	jmp	*%rax
	.cfi_endproc
	.size	cosy_capture_replay_inline, .-cosy_capture_replay_inline

/* Integer registers only: the task's function is reached by a jump. */
	function cosy_capture_replay_integers
	.cfi_startproc
	endbr64
	movq	8(%rdi), %r10
	movq	24(%rdi), %rsi
	movq	32(%rdi), %rdx
	movq	40(%rdi), %rcx
	movq	48(%rdi), %r8
	movq	56(%rdi), %r9
	movq	16(%rdi), %rdi
	jmp	*%r10
	.cfi_endproc
	.size	cosy_capture_replay_integers, .-cosy_capture_replay_integers

	replay	cosy_capture_replay_light, 4, 32, 144
	replay	cosy_capture_replay_wide, 8, 128, 208

	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0

#endif

	.section .note.GNU-stack, "", %progbits
