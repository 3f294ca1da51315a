/* --export-binary: a directory of flow-models' columns per interval, DIR/flows.YYYYMMDDhhmm. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "binary_dir.h"
#include "log.h"
#include "way_slots.h"

#define WHAT       "binary export"
#define PATH_BYTES 4096

static int binary_file_begin(const struct way_slots_options *options, uint64_t start_s, void **file)
{
	char path[PATH_BYTES], name[SLOT_NAME_MAX];

	slot_name(name, start_s, options->interval_s < 60);
	snprintf(path, sizeof(path), "%s/flows.%s", options->directory, name);
	/* Live, what an earlier run left in this interval stays, and ours gets a name with seconds. */
	for (unsigned k = 1; options->live && k < options->interval_s && access(path, F_OK) == 0; k++) {
		slot_name(name, start_s + k, true);
		snprintf(path, sizeof(path), "%s/flows.%s", options->directory, name);
	}
	return binary_dir_open(WHAT, path, (struct binary_dir **)file);
}

static int binary_file_end(void *file, const struct way_slots_options *options, uint64_t start_s, uint64_t *bytes)
{
	(void)options;
	(void)start_s;
	return binary_dir_commit(file, true, false, bytes);
}

static void binary_file_undo(void *file)
{
	binary_dir_abort(file);
}

static int binary_buffer_init(void *buffer, const struct way_slots_options *options)
{
	(void)options;
	return columns_init(buffer);
}

static void binary_buffer_free(void *buffer)
{
	const struct columns *columns = buffer;

	if (columns->clamped)
		log_warning(WHAT
			": %" PRIu64
			" values did not fit their column, and became its largest (times after 2106, interfaces above 65535)",
			columns->clamped);
	columns_free(buffer);
}

static unsigned binary_buffer_records(const void *buffer)
{
	return ((const struct columns *)buffer)->rows;
}

static bool binary_buffer_full(const void *buffer)
{
	return ((const struct columns *)buffer)->rows == COLUMN_ROWS;
}

static int binary_buffer_append(void *buffer, void *file)
{
	if (file)
		return binary_dir_append(file, buffer);
	((struct columns *)buffer)->rows = 0;
	return -EIO; /* why there is no directory was said */
}

static void binary_buffer_add(void *buffer, struct way_row *row, const struct flow_way *way)
{
	(void)way;
	columns_add(buffer, row);
}

static const struct way_slots_kind binary_kind = {
	.name = "binary",
	.what = WHAT,
	.buffer_size = sizeof(struct columns),
	.file_open = binary_file_begin,
	.file_commit = binary_file_end,
	.file_abort = binary_file_undo,
	.buffer_init = binary_buffer_init,
	.buffer_free = binary_buffer_free,
	.buffer_records = binary_buffer_records,
	.buffer_full = binary_buffer_full,
	.buffer_add = binary_buffer_add,
	.buffer_append = binary_buffer_append,
};

static const char *binary_wanted(const struct config *config)
{
	return config->export_binary;
}

static int binary_open(const struct config *config, bool live, struct way_state **state)
{
	return way_slots_open(&binary_kind, config->export_binary, config, live, state);
}

const struct way_format way_binary = {
	.name = "binary",
	.wanted = binary_wanted,
	.open = binary_open,
	.attach = way_slots_attach,
	.put = way_slots_put,
	.tick = way_slots_tick,
	.detach = way_slots_detach,
	.close = way_slots_close,
	.so_far = way_slots_so_far,
};
