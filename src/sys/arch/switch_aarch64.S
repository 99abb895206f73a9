/* The stack switch for aarch64 (AAPCS64). switch.h tells what each function does and why it looks so. */
#if defined(__aarch64__)

	.text

	.macro save_registers
	sub	sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp	x29, x30, [sp, #0]
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp	x19, x20, [sp, #16]
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	stp	x21, x22, [sp, #32]
	.cfi_rel_offset x21, 32
	.cfi_rel_offset x22, 40
	stp	x23, x24, [sp, #48]
	.cfi_rel_offset x23, 48
	.cfi_rel_offset x24, 56
	stp	x25, x26, [sp, #64]
	.cfi_rel_offset x25, 64
	.cfi_rel_offset x26, 72
	stp	x27, x28, [sp, #80]
	.cfi_rel_offset x27, 80
	.cfi_rel_offset x28, 88
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	.endm

	.macro load_registers
	ldp	x29, x30, [sp, #0]
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	.cfi_def_cfa sp, 0
	.cfi_same_value x29
	.cfi_same_value x30
	.cfi_same_value x19
	.cfi_same_value x20
	.cfi_same_value x21
	.cfi_same_value x22
	.cfi_same_value x23
	.cfi_same_value x24
	.cfi_same_value x25
	.cfi_same_value x26
	.cfi_same_value x27
	.cfi_same_value x28
	.endm

	.macro saved_at_sp
	.cfi_def_cfa sp, 160
	.cfi_offset x29, -160
	.cfi_offset x30, -152
	.cfi_offset x19, -144
	.cfi_offset x20, -136
	.cfi_offset x21, -128
	.cfi_offset x22, -120
	.cfi_offset x23, -112
	.cfi_offset x24, -104
	.cfi_offset x25, -96
	.cfi_offset x26, -88
	.cfi_offset x27, -80
	.cfi_offset x28, -72
	.endm

	.macro function name
	.globl	\name
	.hidden	\name
	.type	\name, %function
	.p2align 4
\name:
	.endm

	.macro	switch told
	save_registers
	mov	x9, sp
	str	x9, [x0]
	mov	x0, \told
	mov	sp, x1			/* the same layout on the other stack: what the unwinder knows stays true */
	load_registers
	ret
	.endm

	function cosy_switch
	.cfi_startproc
	hint	#34			/* bti c */
	switch	xzr
	.cfi_endproc
	.size	cosy_switch, .-cosy_switch

/* The same, and x2 becomes the result of the call that goes on there. */
	function cosy_switch_with
	.cfi_startproc
	hint	#34
	switch	x2
	.cfi_endproc
	.size	cosy_switch_with, .-cosy_switch_with

	function cosy_switch_jump
	.cfi_startproc
	hint	#34
	mov	sp, x0
	mov	x9, x1
	saved_at_sp
	load_registers
	mov	x0, x9
	ret
	.cfi_endproc
	.size	cosy_switch_jump, .-cosy_switch_jump

/* x0 save, x1 top, x2 entry, x3 arg */
	function cosy_switch_start
	.cfi_startproc
	hint	#34
	save_registers
	mov	x9, sp
	str	x9, [x0]
	mov	x0, x3
	mov	sp, x1
	mov	x29, #0
	.cfi_endproc
	.cfi_startproc
	.cfi_undefined x30		/* unwinding ends here: this is the first frame of a task's stack */
	blr	x2
	nop
	.cfi_endproc
	.cfi_startproc
	mov	sp, x0
	saved_at_sp
	load_registers
	mov	x0, xzr
	ret
	.cfi_endproc
	.size	cosy_switch_start, .-cosy_switch_start

/* x0 fn, x1 arg, x2 top */
	function cosy_switch_hop
	.cfi_startproc
	.cfi_signal_frame
	hint	#34
	stp	x29, x30, [sp, #-16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	.cfi_def_cfa_register x29
	mov	x9, x0
	mov	x0, x1
	mov	sp, x2
	blr	x9
	mov	sp, x29
	.cfi_def_cfa_register sp
	ldp	x29, x30, [sp], #16
	.cfi_adjust_cfa_offset -16
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	cosy_switch_hop, .-cosy_switch_hop

#endif

	.section .note.GNU-stack, "", %progbits
