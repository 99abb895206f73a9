/* tail.c - follows a file as it grows, like `tail -F`: through being cut short, and through being replaced by a new one (rotated logs).
 *
 *     tail LOG [LINES]        the last LINES lines (10), and what comes; Ctrl-C ends it
 *     tail                    shows itself on a file of its own
 *
 * The directory is watched rather than the file: that is where a name gets another file.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tail {
    const char *path, *name;
    cosy_file *file; /* NULL: there is none at the moment */
    uint64_t inode;
    int64_t at;      /* what was printed ends here */
};

/* What is new. A file that has become shorter begins anew. */
cosy_async static int print_new(struct tail *tail)
{
    char part[4096];
    struct cosy_stat stat;
    cosy_try(cosy_file_stat(tail->file, &stat));
    if ((int64_t)stat.size < tail->at) {
        printf("(%s was cut short)\n", tail->name);
        tail->at = 0;
    }
    int64_t got;
    while ((got = cosy_try(cosy_file_pread(tail->file, part, sizeof part, tail->at))) > 0) {
        fwrite(part, 1, (size_t)got, stdout);
        tail->at += got;
    }
    fflush(stdout);
    return 0;
}

/* Is there another file at the path now? What is left in the old one is printed first. */
cosy_async static int look_for_another(struct tail *tail)
{
    struct cosy_stat stat;
    if (cosy_exists(tail->path) == 0 || cosy_stat(tail->path, &stat) < 0)
        return 0;
    if (tail->file && stat.inode == tail->inode)
        return 0;
    if (tail->file) {
        cosy_try(print_new(tail));
        printf("(%s is another file)\n", tail->name);
    }
    cosy_file_close(tail->file);
    tail->file = NULL;
    tail->at = 0;
    tail->inode = stat.inode;
    return cosy_file_open(tail->path, O_RDONLY, &tail->file);
}

/* Where the last `lines` lines begin. */
cosy_async static int skip_to_last_lines(struct tail *tail, int lines)
{
    char part[4096];
    int64_t end = cosy_try(cosy_file_seek(tail->file, 0, SEEK_END)), at = end;
    while (at > 0) {
        int64_t size = at < (int64_t)sizeof part ? at : (int64_t)sizeof part;
        at -= size;
        int64_t got = cosy_try(cosy_file_pread(tail->file, part, (size_t)size, at));
        for (int64_t i = got; i-- > 0;)
            if (part[i] == '\n' && at + i + 1 < end && --lines == 0) {
                tail->at = at + i + 1;
                return 0;
            }
    }
    tail->at = 0;
    return 0;
}

cosy_async static int follow(struct tail *tail, cosy_file_watch *watch)
{
    int err = 0;
    COSY_FOR (struct cosy_file_event, event, err, cosy_file_watch_events(watch)) {
        if (event.change != COSY_FILE_OVERFLOW && strcmp(event.name, tail->name) != 0)
            continue;
        int result = event.change == COSY_FILE_MODIFIED ? 0 : look_for_another(tail);
        if (result == 0 && tail->file)
            result = print_new(tail);
        cosy_check(err, result);
    }
    return err;
}

cosy_async static int tail_file(const char *path, int lines)
{
    cosy_scoped(cosy_file_watch) watch = NULL;
    const char *slash = strrchr(path, '/');
    char directory[4096];
    snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : slash ? (int)(slash - path) : 1, slash ? path : ".");
    struct tail tail = {.path = path, .name = slash ? slash + 1 : path};
    cosy_try(cosy_file_watch_open(directory, &watch)); /* before the first look: nothing is missed in between */
    int result = look_for_another(&tail);
    if (result == 0 && tail.file)
        result = skip_to_last_lines(&tail, lines);
    if (result == 0 && tail.file)
        result = print_new(&tail);
    if (result == 0)
        result = follow(&tail, watch);
    cosy_file_close(tail.file);
    return result;
}

/* ---- a file to show it on ---- */

cosy_async static int write_log(const char *path)
{
    char old[4100];
    snprintf(old, sizeof old, "%s.1", path);
    cosy_try(cosy_sleep(COSY_MS(50)));
    cosy_try(cosy_write_file(path, "three\n", 6, .append = true));
    cosy_try(cosy_sleep(COSY_MS(50)));
    cosy_try(cosy_rename(path, old));
    cosy_try(cosy_write_file(path, "four\n", 5));
    cosy_try(cosy_sleep(COSY_MS(50)));
    return cosy_write_file(path, "5\n", 2); /* cuts it short */
}

cosy_async static int show(void)
{
    cosy_scoped(cosy_tempdir) directory = NULL;
    char path[4096];
    cosy_try(cosy_temporary_directory(&directory));
    snprintf(path, sizeof path, "%s/log", cosy_tempdir_path(directory));
    cosy_try(cosy_write_file(path, "one\ntwo\n", 8));
    cosy_scoped(cosy_task) tail = cosy_create_task(tail_file, path, 1);
    int result = write_log(path);
    (void)cosy_sleep(COSY_MS(100));
    cosy_task_cancel(tail);
    (void)cosy_await(tail);
    return result;
}

cosy_async static int amain(int count, char **words)
{
    return count > 1 ? tail_file(words[1], count > 2 ? atoi(words[2]) : 10) : show();
}

int main(int count, char **words) { return cosy_main(amain, count, words); }

/* Output:
 * two
 * three
 * (log is another file)
 * four
 * (log was cut short)
 * 5
 */
