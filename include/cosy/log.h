/* cosy/log.h - where the library's messages go.
 *
 * Without a sink of the program's own they go to standard error, one line each, from level WARNING up
 * (all levels with COSY_LOG=debug|info|warning|error in the environment).
 */
#ifndef COSY_LOG_H
#define COSY_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

/* How much a message matters. */
enum cosy_log_level { COSY_LOG_DEBUG, COSY_LOG_INFO, COSY_LOG_WARNING, COSY_LOG_ERROR };

/* text: the whole message without a final newline, valid during the call; may have several lines. */
typedef void (*cosy_log_sink)(enum cosy_log_level level, const char *text, void *arg);

/* Replaces the process's sink; NULL brings the default back. Call it before threads use the library. The sink may be
 * called from any thread and must not suspend. */
void cosy_set_log_sink(cosy_log_sink sink, void *arg);

/* Writes a message to the sink, printf-style. Any thread. */
void cosy_log(enum cosy_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
