/*
 * An output file that several lanes append to in chunks of whole records.
 *
 * Each lane fills a private buffer and appends it under a lock that is taken once per chunk. A chunk is in the file as a whole or
 * not at all (what a full disk cut off is taken back), so the file is valid at every moment, and no lane dispatches for another.
 * The first error is logged with path and reason, and sticks: later appends return it at once and write nothing.
 */
#ifndef FLOWLANE_OUTFILE_H
#define FLOWLANE_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outfile;

enum outfile_mode {
	OUTFILE_PART,   /* written as PATH.part; outfile_commit() renames it to PATH. For exports that are complete or absent */
	OUTFILE_DIRECT, /* written as PATH, emptied with the first byte written. For streams that others tail, and pcap */
};

#define OUTFILE_CHUNK ((size_t)512 << 10) /* a lane's private buffer: big enough that the lock and the syscall vanish */

/* Makes `path` ready for writing. "-" is standard output; that and what is no regular file (a pipe, /dev/null) is written in
 * place in either mode, and a symbolic link is followed. `what` is for messages: "pcap", "JSON export". 0, or a negative errno,
 * logged. */
int outfile_open(const char *what, const char *path, enum outfile_mode mode, struct outfile **file);
/* Appends all or nothing (but a pipe keeps what it got): 0 or a negative errno. Any thread. */
int outfile_append(struct outfile *file, const void *data, size_t bytes);
/* After log rotation moved or removed the file: goes on in a new one of the same name, which begins with `head`. Does nothing while
 * the name still leads to the file, and for a .part or standard output. 0, or a negative errno, logged: then the old one goes on.
 * Any thread. */
int outfile_reopen(struct outfile *file, const void *head, size_t head_bytes);
/* Declares the file incomplete, for a reason outside of it that was logged already. Any thread. */
void outfile_fail(struct outfile *file, int error);
uint64_t outfile_bytes(const struct outfile *file); /* written so far, over all reopened files */
int outfile_error(const struct outfile *file);      /* 0, or the first error */
/* Closes (close errors count), renames a .part; on an earlier error the .part is kept under its name and said. Frees. `where` (of
 * where_bytes, or NULL) gets where the user finds the data: the path, "standard output", or PATH.part. 0, or the first error. */
int outfile_commit(struct outfile *file, char *where, size_t where_bytes);
void outfile_abort(struct outfile *file); /* closes, removes what it made; accepts NULL */

/*
 * For live sinks, called about ten times a second with a buffer that holds something: is it time to append it, so that one who follows
 * the file sees everything within a second? *since_ns is when it was asked first, 0 for a new buffer.
 */
#define OUTFILE_DELAY_NS ((uint64_t)500000000)

static inline bool outfile_is_due(uint64_t *since_ns, uint64_t now_ns)
{
	if (*since_ns == 0 || now_ns < *since_ns)
		*since_ns = now_ns;
	return now_ns - *since_ns >= OUTFILE_DELAY_NS;
}

/*
 * For a writer that writes to the descriptor itself (chunk_writer.c), and is then the only one: no lock.
 */
struct outfile_place {
	int fd;
	bool seekable;   /* a regular file: written at offsets. Else at the end of what came before */
	uint64_t offset; /* where the next byte belongs */
};

/* Before a write: empties a file that was there before. 0, or the error that stuck. */
int outfile_place(struct outfile *file, struct outfile_place *place);
/* After it: `bytes` more are in the file, all of them whole chunks. `error`: 0, or what stopped the writing behind them; it sticks and
 * is logged, and what was cut off is taken back. */
void outfile_wrote(struct outfile *file, size_t bytes, int error);
/* Past the page cache from now on, or no longer: then address, length and offset of writes are multiples of 4096. 0, or a negative
 * errno, not logged: -EINVAL if the file system does not do that, -ESPIPE if there is none behind it. */
int outfile_set_direct(struct outfile *file, bool direct);
const char *outfile_path(const struct outfile *file); /* as the user gave it */

#endif
