/* files.h - calls for descriptors that the program was started with, and for terminals. Real kernels only: a simulated one has neither.
 *
 * Each returns >= 0 or a negative code, and counts among the calls that a test can make fail.
 */
#ifndef COSY_SYS_FILES_H
#define COSY_SYS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

int cosy_sys_stat_fd(int fd, struct stat *ret_status);
/* O_RDONLY, O_WRONLY or O_RDWR, as it was opened. */
int cosy_sys_access_mode(int fd);
/* Another number for the same open file, close-on-exec. */
int cosy_sys_dup(int fd);
/* The same pipe or terminal as an open file of its own: non-blocking, close-on-exec. Not every descriptor can be opened so. */
int cosy_sys_reopen(int fd, bool writing);
/* May block: for threads of a pool. */
int cosy_sys_read_file(int fd, void *buffer, size_t size);
int cosy_sys_terminal_size(int fd, struct winsize *ret_size);
/* True: the controlling side of a pty. */
bool cosy_sys_is_master(int fd);
int cosy_sys_get_terminal(int fd, struct termios *ret_settings);
/* Also from a process in the background, and in signal handlers. */
int cosy_sys_set_terminal(int fd, const struct termios *settings);

#endif
