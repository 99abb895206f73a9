/* tool.h - what the files of the `cosy` command share.
 *
 * Exit statuses: 0 done; 1 something is wrong with the user's code or files; 2 the command line is wrong, or
 * something that the command needs is missing. `cosy run` returns the program's own status.
 */
#ifndef COSY_TOOL_H
#define COSY_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { TOOL_OK = 0, TOOL_FOUND = 1, TOOL_USAGE = 2 };

/* The commands: `argv[0]` is the command's own name. Each returns the exit status. */
int tool_run(int argc, char **argv);
int tool_check(int argc, char **argv);
int tool_new(int argc, char **argv);

/* Prints "cosy COMMAND: message" on stderr and returns TOOL_USAGE. `command` may be NULL. */
__attribute__((format(printf, 2, 3))) int tool_fail(const char *command, const char *format, ...);

/* A growing list of strings, always ended by NULL, so that `items` is an argv. The list owns copies. */
struct list {
    char **items;
    size_t count, room;
};
void list_add(struct list *list, const char *text);
__attribute__((format(printf, 2, 3))) void list_addf(struct list *list, const char *format, ...);
void list_add_words(struct list *list, const char *words); /* split at blanks: "ccache gcc" is two */
void list_free(struct list *list);

/* printf into a new string; ends the program when there is no memory. Free with free(). */
__attribute__((format(printf, 1, 2))) char *format_text(const char *format, ...);

/* Where the library that belongs to this command lies, found from the command's own place: a build folder and
 * an installed prefix have the same shape. Returned strings are the caller's to free. */
char *path_of_include(void);
char *path_of_library(const char *sanitizer); /* NULL, "address" or "thread": the variant built for it */

/* Adds what every program on cosy is compiled with (dialect, recommended warnings, include path). */
void add_user_cflags(struct list *command, const char *include_dir);

/* Whether `program` is an executable file, by its path or in PATH. */
bool program_exists(const char *program);

/* Starts argv with its stderr going to *ret_stderr, which the caller closes. Returns the pid or -errno. */
pid_t start_program(char *const argv[], int *ret_stderr);
int wait_for_program(pid_t pid); /* its exit status, or 128 + N when signal N killed it */

/* From catch to restore, the signals that end a command (Ctrl-C, kill) wait for the program that runs below it. */
void stop_signals_catch(void);
void stop_signals_restore(void);

/* Between those two: runs `path` with argv and waits. Returns its exit status, 128 + N when signal N killed it (then
 * *ret_signal is N, otherwise 0), or -errno when it did not start. */
int run_and_wait(const char *path, char *const argv[], bool fixed_addresses, int *ret_signal);

/* Reads clang's diagnostics from `fd` until its end and prints them, those of the colour check in plain words.
 * Returns how many warnings and errors were seen. */
int explain_diagnostics(int fd);

/* The name of the function whose body holds `line` of `path`, or NULL. The caller frees it. */
char *enclosing_function(const char *path, long line);

#endif
