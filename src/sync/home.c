/* home.c - the refusal of calls from another loop than that of an object's users. */
#include "home.h"

int cosy_home_fail(const char *what)
{
    return cosy_fail(
        COSY_EOTHERLOOP,
        "%s: tasks of another loop use the object now; from there, cosy_call_soon_threadsafe reaches that loop", what);
}
