/* cosy/version.h - the version of these headers, and of the library that is linked. */
#ifndef COSY_VERSION_H
#define COSY_VERSION_H

/* The version of these headers, "0.1.0": what a program was compiled with. */
#define COSY_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* The linked library's version, "0.1.0". Any thread. */
const char *cosy_version(void);

#ifdef __cplusplus
}
#endif
#endif
