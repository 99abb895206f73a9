/* memcheck.h - valgrind's requests, or nothing where its header is not installed. They cost some instructions when the
 * program does not run under it, so any build can be looked at.
 */
#ifndef COSY_BASE_MEMCHECK_H
#define COSY_BASE_MEMCHECK_H

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND                     0
#define VALGRIND_STACK_REGISTER(low, high)      0u
#define VALGRIND_STACK_DEREGISTER(id)           (void)(id)
#define VALGRIND_MAKE_MEM_DEFINED(memory, size) ((void)(memory), (void)(size), 0)
#endif

#endif
