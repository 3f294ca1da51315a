/*
 * --export-nfcapd: files as nfcapd writes them, one per interval, for nfdump. Each lane fills a block of its own, and appends it,
 * compressed, to the file of the interval; so in a file the lanes' blocks take turns.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "nfcapd_file.h"
#include "way_slots.h"

#define WHAT       "nfcapd export"
#define PATH_BYTES 4096

/* Live, a lane that compresses looks at no packets: 0.06 ms for LZ4, and 4 ms for bzip2, in place of 1 and 60. */
#define LIVE_BLOCK_BYTES (64u << 10)

static int nfcapd_file_begin(const struct way_slots_options *options, uint64_t start_s, void **file)
{
	char path[PATH_BYTES], temporary[PATH_BYTES], name[SLOT_NAME_MAX];

	slot_name(name, start_s, options->interval_s < 60);
	/* nfdump's directory readers skip what begins with nfcapd.current. */
	snprintf(path, sizeof(path), "%s/nfcapd.%s", options->directory, name);
	snprintf(temporary, sizeof(temporary), "%s/nfcapd.current.%d.%s", options->directory, (int)getpid(), name);
	unsigned flags = NFCAPD_FILE_SALVAGE | (options->live ? NFCAPD_FILE_JOIN : 0);
	return nfcapd_file_open(
		WHAT, path, temporary, flags, (enum nfcapd_compression)options->compression, start_s, (struct nfcapd_file **)file);
}

static int nfcapd_file_end(void *file, const struct way_slots_options *options, uint64_t start_s, uint64_t *bytes)
{
	return nfcapd_file_commit(file, (uint64_t[]){ start_s * 1000, (start_s + options->interval_s) * 1000 }, bytes);
}

static void nfcapd_file_undo(void *file)
{
	nfcapd_file_abort(file);
}

static int nfcapd_buffer_init(void *buffer, const struct way_slots_options *options)
{
	return nfcapd_block_init(
		buffer, options->live ? LIVE_BLOCK_BYTES : NFCAPD_BLOCK_BYTES, (enum nfcapd_compression)options->compression);
}

static void nfcapd_buffer_free(void *buffer)
{
	nfcapd_block_free(buffer);
}

static unsigned nfcapd_buffer_records(const void *buffer)
{
	return ((const struct nfcapd_block *)buffer)->records;
}

static bool nfcapd_buffer_full(const void *buffer)
{
	return nfcapd_block_full(buffer);
}

static int nfcapd_buffer_append(void *buffer, void *file)
{
	if (file)
		return nfcapd_file_append(file, buffer);
	nfcapd_block_clear(buffer);
	return -EIO; /* why there is no file was said */
}

static void nfcapd_buffer_add(void *buffer, struct way_row *row, const struct flow_way *way)
{
	struct nfcapd_extra extra;

	row->aggs = 0; /* a piece's number is no number of flows */
	nfcapd_extra_fill(&extra, way);
	nfcapd_block_add(buffer, row, &extra);
}

static const struct way_slots_kind nfcapd_kind = {
	.name = "nfcapd",
	.what = WHAT,
	.buffer_size = sizeof(struct nfcapd_block),
	.file_open = nfcapd_file_begin,
	.file_commit = nfcapd_file_end,
	.file_abort = nfcapd_file_undo,
	.buffer_init = nfcapd_buffer_init,
	.buffer_free = nfcapd_buffer_free,
	.buffer_records = nfcapd_buffer_records,
	.buffer_full = nfcapd_buffer_full,
	.buffer_add = nfcapd_buffer_add,
	.buffer_append = nfcapd_buffer_append,
};

static const char *nfcapd_wanted(const struct config *config)
{
	return config->export_nfcapd;
}

static int nfcapd_open(const struct config *config, bool live, struct way_state **state)
{
	return way_slots_open(&nfcapd_kind, config->export_nfcapd, config, live, state);
}

const struct way_format way_nfcapd = {
	.name = "nfcapd",
	.wanted = nfcapd_wanted,
	.open = nfcapd_open,
	.attach = way_slots_attach,
	.put = way_slots_put,
	.tick = way_slots_tick,
	.detach = way_slots_detach,
	.close = way_slots_close,
	.so_far = way_slots_so_far,
};
