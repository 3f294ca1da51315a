/* What the tests of the sinks share: a scratch directory, files as strings, a record to start from, a run of one sink. */
#ifndef FLOWLANE_SINK_HELPER_H
#define FLOWLANE_SINK_HELPER_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bytes.h"
#include "flowlane/sink.h"

static char scratch[64]; /* the directory of the test at hand */

/* cmocka setup and teardown: the tests of sinks provoke errors, whose sentences are not for the test's log. */
static inline int scratch_make(void **state)
{
	(void)state;
	strcpy(scratch, "/tmp/flowlane-test-XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	setenv("TMPDIR", scratch, 1);
	return 0;
}

static inline int scratch_remove(void **state)
{
	char path[512];
	DIR *directory = opendir(scratch);
	struct dirent *entry;

	(void)state;
	while (directory && (entry = readdir(directory))) {
		snprintf(path, sizeof(path), "%s/%s", scratch, entry->d_name);
		if (unlink(path) < 0)
			rmdir(path);
	}
	if (directory)
		closedir(directory);
	return rmdir(scratch);
}

/* A path in the scratch directory; four of them are valid at a time. */
static inline char *scratch_path(const char *name)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

static inline bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* The whole file, with a zero behind it; free() it. NULL: there is none. */
static inline char *file_read(const char *path, size_t *bytes)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return NULL;
	assert_int_equal(fstat(fd, &st), 0);
	char *data = malloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	data[st.st_size] = '\0';
	close(fd);
	if (bytes)
		*bytes = (size_t)st.st_size;
	return data;
}

static inline void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Keeps sentences about provoked errors: what goes to standard error until the end lands in the scratch directory. */
static int saved_stderr;

static inline void messages_begin(void)
{
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	int fd = open(scratch_path("messages"), O_WRONLY | O_CREAT | O_TRUNC, 0644);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* Free() it. */
static inline char *messages_end(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	return file_read(scratch_path("messages"), NULL);
}

static inline unsigned count_of(const char *text, const char *needle)
{
	unsigned n = 0;

	for (; (text = strstr(text, needle)); text += strlen(needle))
		n++;
	return n;
}

/* The flow of the user's text. */
static inline struct flow_record record_sample(void)
{
	struct flow_record record = {
		.key = { .proto = 6, .ip_version = 4, .a_port = 54321, .b_port = 443, .vlan = FLOW_VLAN_NONE },
		.tcp_state = TCP_STATE_ESTABLISHED,
		.client = CLIENT_A_TO_B,
		.end = FLOW_ALIVE,
		.first_ns = 1706123400123456000,
		.last_ns = 1706123460654321000,
		.end_ns = 1706123460654321000,
		.packets = { 150, 200 },
		.bytes = { 12400, 485000 },
		.l3_bytes = { 10300, 482200 },
		.retransmissions = 2,
		.rtt = { 15200 * 125, 12800 * 125, 14100 * 125, 45 },
		.tcp_flags = { 0x1b, 0x13 },
	};
	memcpy(record.key.a_ip + FLOW_KEY_V4_OFFSET, (uint8_t[]){ 192, 168, 1, 42 }, 4);
	memcpy(record.key.b_ip + FLOW_KEY_V4_OFFSET, (uint8_t[]){ 93, 184, 216, 34 }, 4);
	return record;
}

/* A small generator, so that a failing test fails again. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Many ties on every level of the order: few values for each member. */
static inline struct flow_record record_random(uint64_t *state)
{
	struct flow_record record = record_sample();

	if (random_next(state) % 4 == 0) {
		record.key.ip_version = 6;
		record.key.a_ip[0] = 0x20;
		record.key.a_ip[15] = (uint8_t)(random_next(state) % 3);
		record.key.b_ip[random_next(state) % 16] = (uint8_t)(random_next(state) % 3);
	}
	record.key.proto = random_next(state) % 3 ? 6 : 17;
	record.key.a_ip[14] = (uint8_t)(random_next(state) % 3);
	record.key.b_ip[15] = (uint8_t)(random_next(state) % 4);
	record.key.a_port = (uint16_t)(random_next(state) % 3);
	record.key.b_port = (uint16_t)(random_next(state) % 3);
	record.key.tunnel = (uint32_t)(random_next(state) % 2);
	record.bytes[0] = random_next(state) % 3 * 1000;
	record.first_ns += random_next(state) % 3;
	record.end_ns += random_next(state) % 5;
	record.retransmissions = (uint32_t)(random_next(state) % 2);
	record.end = (uint8_t)(random_next(state) % (FLOW_ALIVE + 1));
	return record;
}

/* Gives records to `lanes` sinks of one output in turn, and closes it. Returns what open said, or the number of reports. */
static inline int sink_run(const struct sink_ops *ops, const struct config *config, const struct source_info *info, unsigned lanes,
	const struct flow_record *records, unsigned n, struct output_report *reports)
{
	struct output *output;
	struct sink *sinks[8];
	int error = ops->open(config, info, &output);

	if (error)
		return error;
	for (unsigned i = 0; i < lanes; i++)
		assert_int_equal(ops->attach(output, i, &sinks[i]), 0);
	for (unsigned i = 0; i < n; i++)
		ops->flows(sinks[i % lanes], &records[i], 1);
	for (unsigned i = 0; i < lanes; i++)
		ops->detach(sinks[i]);
	return (int)ops->close(output, reports);
}

#endif
