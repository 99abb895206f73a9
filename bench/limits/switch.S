/* 
 * The stack switch of the limits: the callee-saved registers, the stack pointer, and an indirect jump. Never `ret`:
 * with tasks suspended at different sites the processor's return stack is wrong on every switch. A suspended task's
 * stack holds six registers and the address to resume at.
 */
#if defined(__x86_64__)

.macro SAVE
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm
.macro RESUME
    movq (%rsp), %r15
    movq 8(%rsp), %r14
    movq 16(%rsp), %r13
    movq 24(%rsp), %r12
    movq 32(%rsp), %rbx
    movq 40(%rsp), %rbp
    movq 48(%rsp), %rcx
    leaq 56(%rsp), %rsp
    jmp *%rcx
.endm

    .text
    .globl limit_yield
    .type limit_yield, @function
    .p2align 4
limit_yield:
    SAVE
    movq limit_cursor(%rip), %rax
    movq %rsp, (%rax)
    leaq 8(%rax), %rax
    cmpq limit_ring_end(%rip), %rax
    cmoveq limit_ring(%rip), %rax
    movq %rax, limit_cursor(%rip)
    movq (%rax), %rsp
    RESUME
    .size limit_yield, .-limit_yield

    .globl limit_switch
    .type limit_switch, @function
    .p2align 4
limit_switch:
    SAVE
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    RESUME
    .size limit_switch, .-limit_switch

    .globl limit_leave
    .type limit_leave, @function
    .p2align 4
limit_leave:
    movq %rdi, %rsp
    RESUME
    .size limit_leave, .-limit_leave

    .globl limit_first_frame
    .type limit_first_frame, @function
    .p2align 4
limit_first_frame:
    movq %r12, %rdi
    call *%r13
    ud2
    .size limit_first_frame, .-limit_first_frame

#elif defined(__aarch64__)

.macro SAVE
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
.endm
.macro RESUME
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    br x30
.endm

    .text
    .globl limit_yield
    .type limit_yield, %function
limit_yield:
    SAVE
    adrp x9, limit_cursor
    ldr x0, [x9, #:lo12:limit_cursor]
    mov x10, sp
    str x10, [x0], #8
    adrp x11, limit_ring_end
    ldr x11, [x11, #:lo12:limit_ring_end]
    adrp x12, limit_ring
    ldr x12, [x12, #:lo12:limit_ring]
    cmp x0, x11
    csel x0, x12, x0, eq
    str x0, [x9, #:lo12:limit_cursor]
    ldr x10, [x0]
    mov sp, x10
    RESUME
    .size limit_yield, .-limit_yield

    .globl limit_switch
    .type limit_switch, %function
limit_switch:
    SAVE
    mov x10, sp
    str x10, [x0]
    mov sp, x1
    RESUME
    .size limit_switch, .-limit_switch

    .globl limit_leave
    .type limit_leave, %function
limit_leave:
    mov sp, x0
    RESUME
    .size limit_leave, .-limit_leave

    .globl limit_first_frame
    .type limit_first_frame, %function
limit_first_frame:
    mov x0, x19
    blr x20
    brk #0
    .size limit_first_frame, .-limit_first_frame

#else
#error "the limits know x86-64 and aarch64"
#endif
    .section .note.GNU-stack, "", %progbits
