/* files.h - calls for descriptors that the program was started with, for terminals, and for files besides what is an
 * operation of its own (file_op.h). Real kernels only: a simulated one has none of them.
 *
 * Each returns >= 0 or a negative code, and counts among the calls that a test can make fail.
 */
#ifndef COSY_SYS_FILES_H
#define COSY_SYS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

int cosy_sys_stat_fd(int fd, struct stat *ret_status);
/* O_RDONLY, O_WRONLY or O_RDWR, as it was opened. */
int cosy_sys_access_mode(int fd);
/* All of F_GETFL: O_APPEND and the like, too. */
int cosy_sys_status_flags(int fd);
/* Another number for the same open file, close-on-exec. */
int cosy_sys_dup(int fd);
/* The same pipe or terminal as an open file of its own: non-blocking, close-on-exec. Not every descriptor can be opened
 * so. */
int cosy_sys_reopen(int fd, bool writing);
/* May block: for threads of a pool. */
int cosy_sys_read_file(int fd, void *buffer, size_t size);
/* The file lies in memory and nowhere else (tmpfs, ramfs): reading and writing wait for no disk. */
bool cosy_sys_is_in_memory(int fd);
/* copy_file_range(2): how many bytes; both offsets move on. */
int64_t cosy_sys_copy_range(int from, int64_t *from_at, int to, int64_t *to_at, size_t size);
/* An open file description lock on the whole file: F_RDLCK, F_WRLCK, F_UNLCK; -EAGAIN when somebody else has it. */
int cosy_sys_lock(int fd, int type);
int cosy_sys_chmod_fd(int fd, mode_t mode);
/* getdents64(2) */
int cosy_sys_list(int fd, void *buffer, size_t size);
int cosy_sys_stat_at(int dir, const char *name, int flags, struct stat *ret_status);
int cosy_sys_inotify(void); /* non-blocking, close-on-exec */
int cosy_sys_inotify_add(int fd, const char *path, uint32_t events);
int cosy_sys_inotify_remove(int fd, int watch);
int cosy_sys_terminal_size(int fd, struct winsize *ret_size);
/* True: the controlling side of a pty. */
bool cosy_sys_is_master(int fd);
int cosy_sys_get_terminal(int fd, struct termios *ret_settings);
/* Also from a process in the background, and in signal handlers. */
int cosy_sys_set_terminal(int fd, const struct termios *settings);

#endif
