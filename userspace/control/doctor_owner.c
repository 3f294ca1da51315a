/* Who holds a BPF program: found as `bpftool` did before there were iterators, by what /proc says of open files. */
#include "doctor_facts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum holds { HOLDS_NOTHING, HOLDS_PROGRAM, HOLDS_LINK };

/* What /proc/PID/fdinfo/FD says, if the file is a BPF program or a link to one. */
static enum holds fd_holds(const char *pid, const char *fd, uint32_t prog_id)
{
	char path[640], text[128];
	enum holds kind = HOLDS_NOTHING;
	unsigned id = 0;
	bool same = false;

	snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
	ssize_t length = readlink(path, text, sizeof(text) - 1);
	text[length > 0 ? length : 0] = '\0';
	if (strstr(text, "bpf_link") || strstr(text, "bpf-link"))
		kind = HOLDS_LINK;
	else if (strstr(text, "bpf-prog"))
		kind = HOLDS_PROGRAM;
	else
		return HOLDS_NOTHING;
	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	FILE *file = fopen(path, "re");
	if (!file)
		return HOLDS_NOTHING;
	while (fgets(text, sizeof(text), file)) {
		if (sscanf(text, "prog_id: %u", &id) == 1)
			same |= id == prog_id;
	}
	fclose(file);
	return same ? kind : HOLDS_NOTHING;
}

static enum holds process_holds(const char *pid, uint32_t prog_id)
{
	char path[320];
	struct dirent *entry;
	enum holds best = HOLDS_NOTHING;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	if (!dir)
		return HOLDS_NOTHING;
	while (best != HOLDS_LINK && (entry = readdir(dir))) {
		enum holds kind = fd_holds(pid, entry->d_name, prog_id);
		best = kind > best ? kind : best;
	}
	closedir(dir);
	return best;
}

static void owner_name(struct doctor_owner *owner)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", owner->pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(owner->name, sizeof(owner->name), file))
		owner->name[0] = '\0';
	owner->name[strcspn(owner->name, "\n")] = '\0';
	fclose(file);
}

void doctor_find_owner(uint32_t prog_id, struct doctor_owner *owner)
{
	struct dirent *entry;

	*owner = (struct doctor_owner){ 0 };
	DIR *dir = opendir("/proc");
	if (!dir)
		return;
	while (!owner->by_link && (entry = readdir(dir))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		enum holds kind = process_holds(entry->d_name, prog_id);
		if (kind == HOLDS_NOTHING)
			continue;
		owner->pid = atoi(entry->d_name);
		owner->by_link = kind == HOLDS_LINK;
	}
	closedir(dir);
	if (owner->pid)
		owner_name(owner);
}
