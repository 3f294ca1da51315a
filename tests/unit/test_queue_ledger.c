/* One queue's ledger: each frame that the XDP program saw is in one place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue_ledger.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

enum mode { COPY = 0, ZEROCOPY = 1, SG = 2, RUNNING = 4 };

struct row {
	const char *name;
	unsigned mode;
	uint64_t captured, filtered, no_socket;                      /* by the program */
	uint64_t received, too_long, waiting;                        /* by lanes, in rings */
	uint64_t rx_dropped, rx_ring_full, fill_ring_empty, invalid; /* by the kernel */
	struct {
		uint64_t received, pending, rx_ring_full, fill_ring_empty, refused, too_long;
	} report;
};

static const struct row rows[] = {
	{ .name = "nothing", .report = { 0 } },
	{ .name = "all received", .captured = 10, .received = 10, .report = { .received = 10 } },
	{ .name = "filtered and without socket",
		.captured = 10,
		.filtered = 3,
		.no_socket = 4,
		.received = 10,
		.report = { .received = 10 } },
	{ .name = "copy: ring full",
		.captured = 10,
		.received = 4,
		.rx_ring_full = 6,
		.report = { .received = 4, .rx_ring_full = 6 } },
	{ .name = "copy: no buffer, counted twice by the kernel",
		.captured = 10,
		.received = 4,
		.rx_dropped = 6,
		.fill_ring_empty = 6,
		.report = { .received = 4, .fill_ring_empty = 6 } },
	{ .name = "copy: no buffer and too long",
		.captured = 10,
		.received = 4,
		.rx_dropped = 6,
		.fill_ring_empty = 4,
		.report = { .received = 4, .fill_ring_empty = 4, .refused = 2, .too_long = 2 } },
	{ .name = "copy: the fill ring was also empty for others",
		.captured = 10,
		.received = 9,
		.rx_dropped = 1,
		.fill_ring_empty = 50,
		.report = { .received = 9, .fill_ring_empty = 1 } },
	{ .name = "zero-copy: attempts on an empty fill ring are no frames",
		.mode = ZEROCOPY,
		.captured = 10,
		.received = 10,
		.fill_ring_empty = 1000,
		.report = { .received = 10 } },
	{ .name = "zero-copy: too long",
		.mode = ZEROCOPY,
		.captured = 10,
		.received = 8,
		.rx_dropped = 2,
		.fill_ring_empty = 7,
		.report = { .received = 8, .refused = 2, .too_long = 2 } },
	{ .name = "several buffers: not enough of them",
		.mode = SG,
		.captured = 10,
		.received = 8,
		.rx_dropped = 2,
		.report = { .received = 8, .fill_ring_empty = 2 } },
	{ .name = "several buffers: more than a lane joins",
		.mode = SG,
		.captured = 10,
		.received = 8,
		.too_long = 2,
		.report = { .received = 8, .refused = 2, .too_long = 2 } },
	{ .name = "refused without a word", .captured = 10, .received = 7, .report = { .received = 7, .refused = 3 } },
	{ .name = "a buffer that is none is no frame", .captured = 10, .received = 10, .invalid = 5, .report = { .received = 10 } },
	{ .name = "left in a ring at the end",
		.captured = 10,
		.received = 7,
		.waiting = 2,
		.report = { .received = 7, .pending = 2, .refused = 1 } },
	{ .name = "running: in the driver's hands",
		.mode = RUNNING,
		.captured = 10,
		.received = 7,
		.waiting = 1,
		.report = { .received = 7, .pending = 3 } },
	{ .name = "running: more than a driver holds",
		.mode = RUNNING,
		.captured = 1000,
		.received = 7,
		.report = { .received = 7, .pending = 256, .refused = 737 } },
	{ .name = "running: received since the program was asked",
		.mode = RUNNING,
		.captured = 10,
		.received = 12,
		.rx_ring_full = 1,
		.report = { .received = 10 } },
};

static void frames__when_counted_in_several_places__then_each_is_in_one(void **context)
{
	(void)context;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		const struct row *row = &rows[i];
		struct queue_counts counts = {
			.received = row->received,
			.joined_too_long = row->too_long,
			.waiting = row->waiting,
			.rx_dropped = row->rx_dropped,
			.rx_ring_full = row->rx_ring_full,
			.fill_ring_empty = row->fill_ring_empty,
			.invalid = row->invalid,
			.program = { .packets = { row->captured, row->filtered, row->no_socket }, .bytes = { 100, 20, 3 } },
		};
		struct capture_queue_report report = { .interface = 5, .queue = 6, .lanes = 7 };
		queue_ledger_settle(&report, &counts, row->mode & ZEROCOPY, row->mode & SG, !(row->mode & RUNNING));
		print_message("%s\n", row->name);
		assert_int_equal(report.received, row->report.received);
		assert_int_equal(report.pending, row->report.pending);
		assert_int_equal(report.rx_ring_full, row->report.rx_ring_full);
		assert_int_equal(report.fill_ring_empty, row->report.fill_ring_empty);
		assert_int_equal(report.refused, row->report.refused);
		assert_int_equal(report.too_long, row->report.too_long);
		assert_int_equal(report.invalid, row->invalid);
		assert_int_equal(report.filtered, row->filtered);
		assert_int_equal(report.no_socket, row->no_socket);
		assert_int_equal(report.seen, row->captured + row->filtered + row->no_socket);
		assert_int_equal(report.bytes, 123);
		assert_int_equal(report.seen, report.filtered + report.no_socket + report.received + report.pending +
						      report.rx_ring_full + report.fill_ring_empty + report.refused);
		/* Who it is remains. */
		assert_int_equal(report.interface * 100 + report.queue * 10 + report.lanes, 567);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames__when_counted_in_several_places__then_each_is_in_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
