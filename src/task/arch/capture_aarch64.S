/* Captured calls for aarch64: the stubs that are called in place of an async function, and their replay.
 * capture.h describes the block: coroutine 0, function 8, eight integer registers 16, vector registers 80, then stack
 * words. */
#if defined(__aarch64__)

	.equ	THREAD_MAKING, 24
	.equ	THREAD_MADE, 32
	.equ	OBJECT_OUTER, 16
	.equ	OBJECT_START, 80
	.equ	OBJECT_FRAME, 96

	.text

	.macro function name
	.globl	\name
	.hidden	\name
	.type	\name, %function
	.p2align 4
\name:
	.endm

/* Finds the innermost call in the making that began in the calling frame (x29: call.h makes sure of a frame pointer),
 * passing those that were left in the middle, and notes it. x16 = its object; x9, x10 are used. */
	.macro find_object
	adrp	x16, :gottprel:cosy_thread_
	ldr	x16, [x16, #:gottprel_lo12:cosy_thread_]
	mrs	x9, tpidr_el0
	add	x9, x9, x16
	ldr	x16, [x9, #THREAD_MAKING]
1:	ldr	x10, [x16, #OBJECT_FRAME]
	cmp	x10, x29
	b.eq	2f
	ldr	x16, [x16, #OBJECT_OUTER]
	b	1b
2:	str	x16, [x9, #THREAD_MADE]
	.endm

	.macro store_integers
	ldr	x16, [x16, #OBJECT_START]	/* the block */
	stp	x0, x1, [x16, #16]
	stp	x2, x3, [x16, #32]
	stp	x4, x5, [x16, #48]
	stp	x6, x7, [x16, #64]
	.endm

/* Up to three integer arguments fit into the object itself, whose fields are free before its first step: result 40,
 * scope 120, error 48. */
	function cosy_capture_inline
	.cfi_startproc
	hint	#34			/* bti c */
	find_object
	str	x0, [x16, #40]
	str	x1, [x16, #120]
	str	x2, [x16, #48]
	mov	x0, #0
	ret
	.cfi_endproc
	.size	cosy_capture_inline, .-cosy_capture_inline

	function cosy_capture_integers
	.cfi_startproc
	hint	#34
	find_object
	store_integers
	mov	x0, #0
	ret
	.cfi_endproc
	.size	cosy_capture_integers, .-cosy_capture_integers

	function cosy_capture_light
	.cfi_startproc
	hint	#34
	find_object
	store_integers
	stp	q0, q1, [x16, #80]
	stp	q2, q3, [x16, #112]
	ldp	q0, q1, [sp]
	stp	q0, q1, [x16, #144]
	mov	x0, #0
	ret
	.cfi_endproc
	.size	cosy_capture_light, .-cosy_capture_light

	function cosy_capture_wide
	.cfi_startproc
	hint	#34
	find_object
	store_integers
	stp	q0, q1, [x16, #80]
	stp	q2, q3, [x16, #112]
	stp	q4, q5, [x16, #144]
	stp	q6, q7, [x16, #176]
	.irp	o, 0, 32, 64, 96
	ldp	q0, q1, [sp, #\o]
	stp	q0, q1, [x16, #208+\o]
	.endr
	mov	x0, #0
	ret
	.cfi_endproc
	.size	cosy_capture_wide, .-cosy_capture_wide

	function cosy_capture_nothing
	.cfi_startproc
	hint	#34
	mov	x0, #0
	ret
	.cfi_endproc
	.size	cosy_capture_nothing, .-cosy_capture_nothing

	.macro replay name, vectors, stack_bytes, stack_offset
	function \name
	.cfi_startproc
	hint	#34
	stp	x29, x30, [sp, #-16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	.cfi_def_cfa_register x29
	sub	sp, sp, #\stack_bytes
	.set	o, 0
	.rept	\stack_bytes / 32
	ldp	q0, q1, [x0, #\stack_offset+o]
	stp	q0, q1, [sp, #o]
	.set	o, o + 32
	.endr
	ldp	q0, q1, [x0, #80]
	ldp	q2, q3, [x0, #112]
	.if	\vectors > 4
	ldp	q4, q5, [x0, #144]
	ldp	q6, q7, [x0, #176]
	.endif
	ldr	x16, [x0, #8]
	ldp	x2, x3, [x0, #32]
	ldp	x4, x5, [x0, #48]
	ldp	x6, x7, [x0, #64]
	ldp	x0, x1, [x0, #16]
	blr	x16
	mov	sp, x29
	.cfi_def_cfa_register sp
	ldp	x29, x30, [sp], #16
	.cfi_adjust_cfa_offset -16
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	\name, .-\name
	.endm

/* x0: object, x1: function. The borrowed fields are cleared before the function runs. */
	function cosy_capture_replay_inline
	.cfi_startproc
	hint	#34
	mov	x16, x1
	ldr	x1, [x0, #120]
	ldr	x2, [x0, #48]
	str	xzr, [x0, #120]
	str	xzr, [x0, #48]
	ldr	x0, [x0, #40]
	br	x16
	.cfi_endproc
	.size	cosy_capture_replay_inline, .-cosy_capture_replay_inline

/* Integer registers only: the task's function is reached by a jump. */
	function cosy_capture_replay_integers
	.cfi_startproc
	hint	#34
	ldr	x16, [x0, #8]
	ldp	x2, x3, [x0, #32]
	ldp	x4, x5, [x0, #48]
	ldp	x6, x7, [x0, #64]
	ldp	x0, x1, [x0, #16]
	br	x16
	.cfi_endproc
	.size	cosy_capture_replay_integers, .-cosy_capture_replay_integers

	replay	cosy_capture_replay_light, 4, 32, 144
	replay	cosy_capture_replay_wide, 8, 128, 208

#endif

	.section .note.GNU-stack, "", %progbits
