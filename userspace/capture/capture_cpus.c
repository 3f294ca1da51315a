/* Which CPU each lane runs on. */
#include "capture_internal.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "number_list.h"

#define CPUS_MAX CPU_SETSIZE

/* CPUs of a node as the kernel lists them; false: unknown. */
static bool node_cpus(int node, cpu_set_t *cpus)
{
	unsigned numbers[CPUS_MAX], bad;
	char path[64], list[512] = "";

	CPU_ZERO(cpus);
	if (node < 0)
		return false;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	bool there = fgets(list, sizeof(list), file);
	fclose(file);
	list[strcspn(list, "\n")] = 0;
	int count = there ? number_list_parse(list, CPUS_MAX - 1, numbers, CPUS_MAX, &bad) : -1;
	for (int i = 0; i < count; i++)
		CPU_SET(numbers[i], cpus);
	return count > 0;
}

static int say_bad_cpus(const char *list, int err, unsigned bad)
{
	if (err == -EEXIST)
		log_error("--cpus %s: CPU %u is in it twice", list, bad);
	else if (err == -ERANGE)
		log_error("--cpus %s: there is no CPU %u here, or this process may not use it; `taskset -p $$` shows which it may",
			list, bad);
	else
		log_error("--cpus %s is no list of numbers; write it like 2-5,8", list);
	return err == -ERANGE ? -ERANGE : -EINVAL;
}

/* As listed; more lanes than CPUs begin again at the first. */
static int choose_listed(struct capture *capture, unsigned lanes, const cpu_set_t *allowed)
{
	const char *list = capture->config->cpus;
	unsigned numbers[CPUS_MAX], bad = 0;
	int count = number_list_parse(list, CPUS_MAX - 1, numbers, CPUS_MAX, &bad);

	if (count < 0)
		return say_bad_cpus(list, count, bad);
	for (int i = 0; i < count; i++) {
		if (!CPU_ISSET(numbers[i], allowed))
			return say_bad_cpus(list, -ERANGE, numbers[i]);
	}
	if (lanes > (unsigned)count)
		log_warning("--cpus %s: %d CPU%s for %u lanes: some share one", list, count, count == 1 ? "" : "s", lanes);
	for (unsigned lane = 0; lane < lanes; lane++)
		capture->cpu[lane] = (int)numbers[lane % (unsigned)count];
	return 0;
}

/* The first of `from` that is still free, and now no more; -1: none. */
static int take_cpu(cpu_set_t *free_cpus, const cpu_set_t *from)
{
	for (int cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (CPU_ISSET(cpu, free_cpus) && CPU_ISSET(cpu, from)) {
			CPU_CLR(cpu, free_cpus);
			return cpu;
		}
	}
	return -1;
}

int choose_cpus(struct capture *capture)
{
	unsigned lanes = capture->queues * capture->fanout;
	cpu_set_t free_cpus;

	if (sched_getaffinity(0, sizeof(free_cpus), &free_cpus))
		CPU_ZERO(&free_cpus);
	if (capture->config->cpus)
		return choose_listed(capture, lanes, &free_cpus);
	for (unsigned lane = 0; lane < lanes; lane++) {
		const struct capture_queue *queue = &capture->queue[lane / capture->fanout];
		cpu_set_t near;
		int cpu = -1;
		if (node_cpus(capture->interface[queue->interface].info.numa_node, &near))
			cpu = take_cpu(&free_cpus, &near);
		capture->cpu[lane] = cpu >= 0 ? cpu : take_cpu(&free_cpus, &free_cpus);
	}
	return 0;
}
