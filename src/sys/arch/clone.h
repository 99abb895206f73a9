/* clone.h - a system call that makes a child, which begins in a function of ours on a stack of its own.
 *
 * The C library's clone() does not take the arguments of clone3. In one piece of assembly, so that the child runs no
 * line that was compiled for the parent: the two may share their memory.
 */
#ifndef COSY_SYS_ARCH_CLONE_H
#define COSY_SYS_ARCH_CLONE_H

/* What clone(2) and clone3(2) answer in the parent; the child calls fn(arg), which must not return. In the child,
 * `stack` may be the parent's own (0), when the memory is not shared. */
__attribute__((noinline)) static long cosy_clone(long number, long first, long second, long third, void (*fn)(void *),
                                                 void *arg)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    register void (*begin)(void *) __asm__("r12") = fn;
    register void *with __asm__("r13") = arg;
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "and $-16, %%rsp\n\t"
                     "mov %%r13, %%rdi\n\t"
                     "call *%%r12\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "0"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), "r"(begin), "r"(with)
                     : "rcx", "r11", "memory", "cc");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = first;
    register long x1 __asm__("x1") = second;
    register long x2 __asm__("x2") = third;
    register long x3 __asm__("x3") = 0;
    register long x4 __asm__("x4") = 0;
    register void (*begin)(void *) __asm__("x20") = fn;
    register void *with __asm__("x21") = arg;
    __asm__ volatile("svc 0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, 0\n\t"
                     "mov x0, x21\n\t"
                     "blr x20\n\t"
                     "brk 1\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(begin), "r"(with)
                     : "memory", "cc");
    return x0;
#else
#error "cosy_clone is written for x86-64 and aarch64"
#endif
}

#endif
