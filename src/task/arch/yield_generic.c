/* cosy_yield where no assembly takes the plain case. */
#include <cosy/task.h>

#if !defined(__x86_64__)
int cosy_yield_slowly(void);
int cosy_yield(void) { return cosy_yield_slowly(); }
#else
typedef int cosy_yield_is_assembly;
#endif
