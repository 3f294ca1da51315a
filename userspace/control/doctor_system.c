#include "doctor_facts.h"

#include <dirent.h>
#include <limits.h>
#include <pcap/pcap.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <linux/capability.h>

#include "privileges.h"
#include "umem.h"

#define CPUS_MAX 8192 /* what the kernel is built for at most */

/* The first line, without its end; "" if it cannot be read. */
static void line_read(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");

	text[0] = '\0';
	if (!file)
		return;
	if (!fgets(text, (int)size, file))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(file);
}

static long number_read(const char *path, long otherwise)
{
	char text[32], *end;

	line_read(path, text, sizeof(text));
	long value = strtol(text, &end, 10);
	return end == text ? otherwise : value;
}

static void gather_huge_pages(struct doctor_system *system)
{
	char text[64];

	system->huge_2m_total = (unsigned)number_read("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", 0);
	system->huge_2m_free = (unsigned)number_read("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", 0);
	system->huge_1g_total = (unsigned)number_read("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", 0);
	system->huge_1g_free = (unsigned)number_read("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", 0);
	line_read("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	system->thp = strstr(text, "[always]") || strstr(text, "[madvise]");
	system->memory_available_bytes = umem_available_bytes();
}

/* How many entries are the prefix and a number; *comm: and whether one has /comm with this name in it. */
static unsigned entries_count(const char *directory, const char *prefix, const char *comm, bool *found)
{
	struct dirent *entry;
	unsigned count = 0;
	char path[320], name[32];

	DIR *dir = opendir(directory);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		const char *digits = entry->d_name + strlen(prefix);
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || *digits < '0' || *digits > '9')
			continue;
		count++;
		if (!comm)
			continue;
		snprintf(path, sizeof(path), "%s/%s/comm", directory, entry->d_name);
		line_read(path, name, sizeof(name));
		*found |= !strcmp(name, comm);
	}
	closedir(dir);
	return count;
}

unsigned doctor_count_cpus(int numa_node)
{
	unsigned count = 0;
	char path[128];

	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	if (!set)
		return 0;
	if (sched_getaffinity(0, CPU_ALLOC_SIZE(CPUS_MAX), set))
		CPU_ZERO_S(CPU_ALLOC_SIZE(CPUS_MAX), set);
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (!CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(CPUS_MAX), set))
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpu%u", numa_node, cpu);
		count += numa_node < 0 || access(path, F_OK) == 0;
	}
	CPU_FREE(set);
	return count;
}

static void gather_cpus(struct doctor_system *system)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	system->cpus = online > 0 ? (unsigned)online : 1;
	system->cpus_allowed = doctor_count_cpus(-1);
	system->numa_nodes = entries_count("/sys/devices/system/node", "node", NULL, NULL);
	line_read("/sys/devices/system/cpu/isolated", system->isolated, sizeof(system->isolated));
	entries_count("/proc", "", "irqbalance", &system->irqbalance);
}

void doctor_gather_system(struct doctor_system *system)
{
	struct utsname names;
	struct rlimit memlock;

	*system = (struct doctor_system){ 0 };
	if (!uname(&names))
		snprintf(system->kernel, sizeof(system->kernel), "%.63s", names.release);
	snprintf(system->libbpf, sizeof(system->libbpf), "%s", doctor_libbpf_version());
	snprintf(system->pcap, sizeof(system->pcap), "%s", pcap_lib_version());
	ssize_t length = readlink("/proc/self/exe", system->executable, sizeof(system->executable) - 1);
	system->executable[length > 0 ? length : 0] = '\0';
	privileges_missing(system->missing, sizeof(system->missing));
	system->ipc_lock = privileges_have(CAP_IPC_LOCK);
	system->memlock_bytes =
		!getrlimit(RLIMIT_MEMLOCK, &memlock) && memlock.rlim_cur != RLIM_INFINITY ? memlock.rlim_cur : UINT64_MAX;
	system->bpf_jit = (int)number_read("/proc/sys/net/core/bpf_jit_enable", -1);
	gather_huge_pages(system);
	gather_cpus(system);
	doctor_probe(&system->probes);
}
