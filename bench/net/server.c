/* What the server costs, as /proc tells it: CPU time of its threads, busy time of its processor, memory. */
#include "load.h"

#include <dirent.h>

static FILE *open_proc(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        load_fail(path);
    return file;
}

/* schedstat counts ns; /proc/PID/stat counts ticks of 10 ms. A thread that has just ended is left out. */
double load_server_cpu_ns(int pid)
{
    if (!pid)
        return 0;
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        load_fail(path);
    double sum = 0;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        double ns;
        if (file && fscanf(file, "%lf", &ns) == 1)
            sum += ns;
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return sum;
}

/* The clock less what was idle or waiting for disks; what the host took away is told apart. */
static double read_busy_ns(int cpu, double *stolen_ns)
{
    char line[512], name[16];
    FILE *file = open_proc("/proc/stat");
    int length = snprintf(name, sizeof name, "cpu%d ", cpu);
    double idle = -1, waiting = 0, stolen = 0, tick_ns = 1e9 / (double)sysconf(_SC_CLK_TCK);
    while (idle < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, (size_t)length) == 0)
            sscanf(line + length, "%*f %*f %*f %lf %lf %*f %*f %lf", &idle, &waiting, &stolen);
    fclose(file);
    if (idle < 0)
        load_fail("no such processor");
    *stolen_ns = stolen * tick_ns;
    return (double)load_clock_ns() - (idle + waiting) * tick_ns;
}

double load_processor_busy_ns(int cpu)
{
    double stolen = 0, busy = cpu < 0 ? 0 : read_busy_ns(cpu, &stolen);
    return busy - stolen;
}

double load_all_busy_ns(int *count)
{
    static cpu_set_t used; /* those of the load, and the server's */
    double sum = 0, stolen;
    if (CPU_COUNT(&used) == 0)
        sched_getaffinity(0, sizeof used, &used);
    if (load.cpu >= 0)
        CPU_SET((unsigned)load.cpu, &used);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((unsigned)cpu, &used))
            sum += read_busy_ns(cpu, &stolen);
    *count = CPU_COUNT(&used);
    return sum;
}

double load_server_memory(int pid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = open_proc(path);
    long kib = 0, value;
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld", &value) == 1 || sscanf(line, "VmPTE: %ld", &value) == 1)
            kib += value;
    fclose(status);
    return (double)kib * 1024;
}
