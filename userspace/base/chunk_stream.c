#include "chunk_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "log.h"

static void stream_fail(struct chunk_stream *stream, int error)
{
	if (!stream->error)
		__atomic_store_n(&stream->error, error, __ATOMIC_RELAXED);
}

/* --- pieces ---------------------------------------------------------------------------------------------------------- */

static void pieces_add(struct chunk_pieces *pieces, size_t end, uint64_t records, struct chunk *chunk)
{
	pieces->piece[pieces->count++] = (struct chunk_piece){ .end = end, .records = records, .chunk = chunk };
}

static size_t pieces_bytes(const struct chunk_pieces *pieces)
{
	return pieces->count ? pieces->piece[pieces->count - 1].end : 0;
}

/* Of a write that ended after `done` bytes: counts what is in the file, and gives the chunks back. Returns the end of the last whole
 * piece, 0 if there is none. */
static size_t pieces_settle(struct chunk_stream *stream, struct chunk_pieces *pieces, size_t done)
{
	size_t whole = 0;

	for (unsigned i = 0; i < pieces->count; i++) {
		struct chunk_piece *piece = &pieces->piece[i];
		if (piece->end <= done) {
			counter_add(&stream->records, piece->records);
			whole = piece->end;
		} else {
			counter_add(&stream->lost, piece->records);
		}
		if (piece->chunk)
			chunk_release(piece->chunk);
	}
	pieces->count = 0;
	return whole;
}

/* --- writes ---------------------------------------------------------------------------------------------------------- */

static void write_settle(struct chunk_stream *stream, struct chunk_pieces *pieces, size_t done, int error)
{
	size_t whole = pieces_settle(stream, pieces, done);
	struct outfile_place place;

	/* What was counted before may be written once more, at the beginning of a block. */
	if (!outfile_place(stream->file, &place))
		outfile_wrote(stream->file, whole ? (size_t)(stream->write_start + whole - place.offset) : 0, error);
	if (stream->options.grew && whole)
		stream->options.grew(stream->options.owner, outfile_bytes(stream->file));
	if (error) {
		stream_fail(stream, error);
		pieces_settle(stream, &stream->stage[stream->filling].pieces, 0);
	}
}

/* `done` of the bytes are in the file already, and not in iov. */
static void write_start(struct chunk_stream *stream, uint64_t offset, unsigned iov_count, size_t done, size_t bytes)
{
	struct outfile_place place;
	int error = outfile_place(stream->file, &place);

	stream->write_start = stream->staged ? offset : place.offset;
	stream->write_bytes = bytes;
	stream->write_done = done;
	if (error || done == bytes) {
		write_settle(stream, &stream->pieces, done, error);
		return;
	}
	stream->write = (struct file_write){
		.fd = place.fd,
		.seekable = place.seekable,
		.offset = stream->write_start + done,
		.iov = stream->iov,
		.iov_count = iov_count,
		.owner = stream,
	};
	stream->busy = true;
	file_ring_start(stream->ring, &stream->write);
}

/* The rest of a write that was cut short. */
static void write_continue(struct chunk_stream *stream, size_t done)
{
	struct file_write *write = &stream->write;

	while (done > 0 && done >= write->iov->iov_len) {
		done -= write->iov->iov_len;
		write->iov++;
		write->iov_count--;
	}
	write->iov->iov_base = (char *)write->iov->iov_base + done;
	write->iov->iov_len -= done;
	write->offset = stream->write_start + stream->write_done;
	file_ring_start(stream->ring, write);
}

/* --- direct writes --------------------------------------------------------------------------------------------------- */

static void direct_refuse(struct chunk_stream *stream, int error)
{
	const char *why = error == -EINVAL ? "its file system has none" : error == -ESPIPE ? "it is no file" : strerror(-error);

	stream->direct_refused = true;
	if (stream->direct_proven) /* then it is this write that could not be: a limit that is no multiple of a block, ... */
		return;
	log_warning("%s: no direct I/O to \"%s\": %s; it is written through the page cache", stream->what,
		outfile_path(stream->file), why);
}

/* The file at hand has just begun, and holds the head. */
static void direct_begin(struct chunk_stream *stream)
{
	struct chunk_stage *stage = &stream->stage[stream->filling];

	stream->staged = false;
	if (!stream->options.direct || stream->direct_refused)
		return;
	int error = outfile_set_direct(stream->file, true);
	if (error) {
		direct_refuse(stream, error);
		return;
	}
	stream->staged = true;
	memcpy(stage->data, stream->options.head, stream->options.head_bytes);
	stage->fill = stream->tail_done = stream->options.head_bytes;
	stage->pieces.count = 0;
	stream->base = 0;
}

/* Bytes [tail_done, end) of the stage through the page cache: less than a block, a few times a second at most, so at once. Returns an
 * error; *done is the end of what is in the file. */
static int direct_write_cached(struct chunk_stream *stream, size_t end, size_t *done)
{
	const uint8_t *data = stream->stage[stream->filling].data;
	struct outfile_place place;
	int error = outfile_place(stream->file, &place);

	*done = stream->tail_done;
	if (!error && !stream->direct_refused)
		error = outfile_set_direct(stream->file, false);
	while (!error && *done < end) {
		ssize_t n = pwrite(place.fd, data + *done, end - *done, (off_t)(stream->base + *done));
		if (n > 0)
			*done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			error = n ? -errno : -EIO;
	}
	if (!error && !stream->direct_refused)
		error = outfile_set_direct(stream->file, true);
	return error;
}

/*
 * Whole blocks go; what is left over begins the other buffer. A block of which a part went through the page cache is completed there:
 * were it written past it, one who reads the file meanwhile could see the cached page, which has zeros behind that part.
 */
static void direct_start(struct chunk_stream *stream)
{
	struct chunk_stage *from = &stream->stage[stream->filling], *to = &stream->stage[!stream->filling];
	size_t whole = from->fill & ~(CHUNK_ALIGN - 1), done = 0;
	uint64_t offset = stream->base;

	if (stream->tail_done > 0) {
		int error = direct_write_cached(stream, CHUNK_ALIGN, &done);
		if (error) {
			stream->write_start = offset;
			write_settle(stream, &from->pieces, done, error);
			return;
		}
	}
	to->fill = from->fill - whole;
	to->pieces.count = 0;
	memcpy(to->data, from->data + whole, to->fill);
	for (unsigned i = 0; i < from->pieces.count; i++) {
		const struct chunk_piece *piece = &from->pieces.piece[i];
		if (piece->end <= whole)
			pieces_add(&stream->pieces, piece->end, piece->records, NULL);
		else
			pieces_add(&to->pieces, piece->end - whole, piece->records, NULL);
	}
	from->pieces.count = 0;
	stream->filling = !stream->filling;
	stream->base += whole;
	stream->tail_done = 0;
	stream->iov[0] = (struct iovec){ .iov_base = from->data + done, .iov_len = whole - done };
	write_start(stream, offset, 1, done, whole);
}

/* The last bytes, no whole block. */
static void direct_write_tail(struct chunk_stream *stream)
{
	struct chunk_stage *stage = &stream->stage[stream->filling];
	size_t done;
	int error = direct_write_cached(stream, stage->fill, &done);

	stream->write_start = stream->base;
	write_settle(stream, &stage->pieces, done, error);
	stream->tail_done = stage->fill;
	stream->flush = false;
}

/* --- from chunks to writes ------------------------------------------------------------------------------------------- */

static void chunk_pop(struct chunk_stream *stream)
{
	stream->first = stream->first->next;
	if (!stream->first)
		stream->last = NULL;
}

static bool batch_has_room(const struct chunk_stream *stream)
{
	const struct chunk_pieces *pieces = stream->staged ? &stream->stage[stream->filling].pieces : &stream->pieces;
	size_t bytes = stream->staged ? stream->stage[stream->filling].fill : pieces_bytes(pieces);

	if (!stream->staged && stream->busy)
		return false;
	return bytes < WRITE_BYTES && pieces->count < STREAM_PIECES;
}

/* `bytes` of a chunk, of which `whole` is true if they are its last. */
static void batch_add(struct chunk_stream *stream, struct chunk *chunk, size_t bytes, uint64_t records, bool whole)
{
	struct chunk_stage *stage = &stream->stage[stream->filling];
	struct chunk_pieces *pieces = &stream->pieces;
	uint8_t *data = chunk->data + chunk->taken;

	chunk->taken += bytes;
	chunk->records -= records;
	if (stream->staged) {
		memcpy(stage->data + stage->fill, data, bytes);
		stage->fill += bytes;
		stream->flush |= chunk->flush;
		pieces_add(&stage->pieces, stage->fill, records, NULL);
		if (whole)
			chunk_release(chunk);
		return;
	}
	size_t start = pieces_bytes(pieces);
	stream->iov[pieces->count] = (struct iovec){ .iov_base = data, .iov_len = bytes };
	pieces_add(pieces, start + bytes, records, whole ? chunk : NULL);
}

/* Takes waiting chunks into the write to come, up to where the file at hand ends. */
static void batch_gather(struct chunk_stream *stream)
{
	while (!stream->barrier && stream->first && batch_has_room(stream)) {
		struct chunk *chunk = stream->first;
		if (chunk == &stream->reopen_message) {
			chunk_pop(stream);
			stream->barrier = BARRIER_REOPEN;
			break;
		}
		size_t left = chunk->bytes - chunk->taken, bytes = left;
		uint64_t records = chunk->records;
		if (!stream->file)
			bytes = 0;
		else if (stream->options.fit)
			bytes = stream->options.fit(stream->options.owner, chunk->data + chunk->taken, left, &records);
		if (bytes == left)
			chunk_pop(stream);
		else
			stream->barrier = BARRIER_NEXT;
		if (bytes > 0)
			batch_add(stream, chunk, bytes, records, bytes == left);
	}
}

/* After an error: everything that comes is lost. */
static void stream_drop(struct chunk_stream *stream)
{
	while (stream->first) {
		struct chunk *chunk = stream->first;
		chunk_pop(stream);
		if (chunk == &stream->reopen_message) {
			__atomic_store_n(&stream->reopen_queued, false, __ATOMIC_RELEASE);
		} else {
			counter_add(&stream->lost, chunk->records);
			chunk_release(chunk);
		}
	}
	stream->barrier = BARRIER_NONE;
}

/* --- from file to file ----------------------------------------------------------------------------------------------- */

static int stream_end_file(struct chunk_stream *stream)
{
	struct outfile *file = stream->file;

	if (!file)
		return 0;
	stream->bytes_closed += outfile_bytes(file);
	stream->file = NULL;
	stream->staged = false;
	return outfile_commit(file, NULL, 0);
}

static void stream_next_file(struct chunk_stream *stream)
{
	int error = stream_end_file(stream);

	if (!error)
		error = stream->options.next(stream->options.owner, &stream->file);
	if (error)
		stream_fail(stream, error);
	else
		direct_begin(stream);
}

/* Where files follow each other, what comes begins the next one; a file without records is as good as that. */
static void stream_end_early(struct chunk_stream *stream)
{
	if (!stream->file || outfile_bytes(stream->file) <= stream->options.head_bytes)
		return;
	int error = stream_end_file(stream);
	if (error)
		stream_fail(stream, error);
}

static void stream_reopen_file(struct chunk_stream *stream)
{
	struct outfile_place place;

	__atomic_store_n(&stream->reopen_queued, false, __ATOMIC_RELEASE);
	if (stream->options.next) {
		stream_end_early(stream);
		return;
	}
	int error = outfile_reopen(stream->file, stream->options.head, stream->options.head_bytes);
	if (error && !stream->reopen_error)
		stream->reopen_error = error;
	error = outfile_place(stream->file, &place);
	if (error)
		stream_fail(stream, error);
	else if (stream->staged && place.offset == stream->options.head_bytes)
		direct_begin(stream);
}

/* All that came before is in the file. */
static void stream_pass(struct chunk_stream *stream)
{
	enum stream_barrier barrier = stream->barrier;

	stream->barrier = BARRIER_NONE;
	if (barrier == BARRIER_NEXT)
		stream_next_file(stream);
	else
		stream_reopen_file(stream);
}

/* --- the stream ------------------------------------------------------------------------------------------------------ */

/* True: there was something to do, there may be more. */
static bool stream_work(struct chunk_stream *stream, bool ending)
{
	const struct chunk_stage *stage = &stream->stage[stream->filling];

	batch_gather(stream);
	if (stream->busy)
		return false;
	if (!stream->staged && stream->pieces.count > 0) {
		write_start(stream, 0, stream->pieces.count, 0, pieces_bytes(&stream->pieces));
		return true;
	}
	if (stream->staged && stage->fill >= CHUNK_ALIGN) {
		direct_start(stream);
		return true;
	}
	if (stream->staged && stage->fill > stream->tail_done && (stream->flush || stream->barrier || ending)) {
		direct_write_tail(stream);
		return true;
	}
	if (stream->barrier) {
		stream_pass(stream);
		return true;
	}
	return false;
}

void stream_step(struct chunk_stream *stream, bool ending)
{
	while (!stream->error && stream_work(stream, ending))
		;
	if (stream->error && !stream->busy)
		stream_drop(stream);
}

void stream_done(struct chunk_stream *stream)
{
	ssize_t result = stream->write.result;
	int error = 0;

	/* io_uring says so where write(2) would have gone on. */
	if (result == -EINTR || (result == -EAGAIN && stream->write.seekable)) {
		file_ring_start(stream->ring, &stream->write);
		return;
	}
	if (result == -EINVAL && stream->staged && !stream->direct_refused) {
		direct_refuse(stream, -EINVAL);
		outfile_set_direct(stream->file, false);
		file_ring_start(stream->ring, &stream->write);
		return;
	}
	if (result <= 0)
		error = result ? (int)result : -EIO;
	else
		stream->write_done += (size_t)result;
	stream->direct_proven |= stream->staged && !error && !stream->direct_refused;
	if (!error && stream->write_done < stream->write_bytes) {
		write_continue(stream, (size_t)result);
		return;
	}
	stream->busy = false;
	write_settle(stream, &stream->pieces, stream->write_done, error);
}

bool stream_idle(const struct chunk_stream *stream)
{
	return !stream->busy && !stream->first;
}

void stream_add(struct chunk_stream *stream, struct chunk *chunk)
{
	chunk->next = NULL;
	if (stream->last)
		stream->last->next = chunk;
	else
		stream->first = chunk;
	stream->last = chunk;
}

int stream_init(struct chunk_stream *stream)
{
	if (!stream->options.direct)
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		stream->stage[i].data = aligned_alloc(CHUNK_ALIGN, WRITE_BYTES + OUTFILE_CHUNK + CHUNK_ALIGN);
		if (!stream->stage[i].data)
			return -ENOMEM;
	}
	if (stream->file)
		direct_begin(stream);
	return 0;
}

void stream_free(struct chunk_stream *stream)
{
	free(stream->stage[0].data);
	free(stream->stage[1].data);
	free(stream);
}
