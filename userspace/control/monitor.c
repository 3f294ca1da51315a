#include "monitor.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"

#define NS_PER_S        1000000000.0
#define NS_PER_MS       ((uint64_t)1000000)
#define BAR_INTERVAL_NS (100 * NS_PER_MS) /* 10 Hz: more is flicker */
#define CTL_PAUSE_MS    ((uint64_t)1)     /* whoever asks is answered within that */
#define IDLE_PAUSE_MS   1000

struct monitor {
	FILE *text;
	bool stats, bar;
	bool metrics;    /* somebody may ask at any time */
	struct ctl *ctl; /* NULL: none */
	bool bar_drawn;
	unsigned columns; /* of the terminal */
	uint64_t start_ns;
	uint64_t stats_interval_ns;
	uint64_t stats_due_ns, stats_last_ns;
	uint64_t bar_due_ns;
	struct lanes_progress stats_last;
};

static uint64_t sum_drops(const struct ledger *ledger)
{
	uint64_t sum = 0;

	for (unsigned i = VERDICT_FIRST_DROP; i < VERDICT_COUNT; i++)
		sum += ledger->verdicts[i];
	return sum;
}

static void print_rates(FILE *out, double bytes, double packets, double secs)
{
	double per_s = secs > 0 ? 1 / secs : 0;

	fprintf(out, "[stats] %.2f Mbps | %.0f pps", bytes * 8 / 1e6 * per_s, packets * per_s);
}

void monitor_print_stats(FILE *out, const struct lanes_progress *before, const struct lanes_progress *now, double secs)
{
	const struct ledger *ledger = &now->ledger;
	uint64_t drops = sum_drops(ledger) + now->lost, drops_before = sum_drops(&before->ledger) + before->lost;

	print_rates(out, (double)(ledger->bytes_read - before->ledger.bytes_read),
		(double)(ledger->packets_read - before->ledger.packets_read), secs);
	fprintf(out, " | %" PRIu64 " flows | drops=%" PRIu64 " (total=%" PRIu64 ")\n", ledger->flows_alive, drops - drops_before,
		drops);
	fflush(out); /* a reader behind a pipe wants it now */
}

void monitor_print_total(FILE *out, const struct ledger *ledger, uint64_t lost)
{
	double secs = (double)(ledger->last_packet_ns - ledger->first_packet_ns) / NS_PER_S;
	uint64_t drops = sum_drops(ledger) + lost;

	print_rates(out, (double)ledger->bytes_read, (double)ledger->packets_read, secs);
	fprintf(out, " | %" PRIu64 " flows | drops=%" PRIu64 " (total=%" PRIu64 ") | whole run, %.3f s of packet time\n",
		ledger->flows_created, drops, drops, secs);
	fflush(out);
}

/* 1234567 with unit "B" is "1.23 MB". */
static void format_scaled(char *text, size_t size, double value, const char *unit)
{
	static const char *const prefixes[] = { "", "k", "M", "G", "T", "P" };
	unsigned step = 0;

	for (; value >= 1000 && step + 1 < sizeof(prefixes) / sizeof(prefixes[0]); step++)
		value /= 1000;
	snprintf(text, size, "%.*f %s%s", step && value < 100 ? 2 : 0, value, prefixes[step], unit);
}

static void format_left(char *text, size_t size, double secs)
{
	unsigned long whole = secs < 360000 ? (unsigned long)(secs + 0.5) : 360000; /* 100 hours: enough to give up */

	if (whole < 3600)
		snprintf(text, size, "%lu:%02lu left", whole / 60, whole % 60);
	else
		snprintf(text, size, "%lu:%02lu:%02lu left", whole / 3600, whole / 60 % 60, whole % 60);
}

void monitor_format_bar(char *text, size_t size, unsigned columns, const struct lanes_progress *progress, double secs)
{
	char packets[32], rate[32], done[32], total[32], left[32], figures[200];
	double bytes_done = (double)progress->bytes_done, bytes_total = (double)progress->bytes_total;
	int room;

	format_scaled(packets, sizeof(packets), (double)progress->ledger.packets_read, "packets");
	format_scaled(rate, sizeof(rate), secs > 0 ? (double)progress->ledger.packets_read / secs : 0, "pps");
	if (!progress->bytes_total) {
		snprintf(text, size, "%s  %s", packets, rate);
		goto cut;
	}
	double part = bytes_done < bytes_total ? bytes_done / bytes_total : 1;
	format_scaled(done, sizeof(done), bytes_done, "B");
	format_scaled(total, sizeof(total), bytes_total, "B");
	snprintf(left, sizeof(left), "-:-- left");
	if (part > 0)
		format_left(left, sizeof(left), secs * (1 - part) / part);
	snprintf(figures, sizeof(figures), "%s of %s  %s  %s  %s", done, total, packets, rate, left);
	room = (int)columns - (int)strlen(figures) - 10; /* "100 % [" and "]  " */
	room = room > 40 ? 40 : room;
	if (room < 5) {
		snprintf(text, size, "%3.0f %%  %s", part * 100, figures);
	} else {
		int filled = (int)(part * room);
		snprintf(text, size, "%3.0f %% [%.*s%*s]  %s", part * 100, filled,
			"========================================", room - filled, "", figures);
	}
cut:
	if (columns < size && strlen(text) > columns)
		text[columns] = 0;
}

static void clear_bar(struct monitor *monitor)
{
	if (!monitor->bar_drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	monitor->bar_drawn = false;
}

static void draw_bar(struct monitor *monitor, const struct lanes_progress *progress, uint64_t now_ns)
{
	char text[256];

	monitor_format_bar(text, sizeof(text), monitor->columns, progress, (double)(now_ns - monitor->start_ns) / NS_PER_S);
	fprintf(stderr, "\r%s\033[K", text);
	fflush(stderr);
	monitor->bar_drawn = true;
	monitor->bar_due_ns = now_ns + BAR_INTERVAL_NS;
}

static void print_stats(struct monitor *monitor, const struct lanes_progress *progress, uint64_t now_ns)
{
	clear_bar(monitor);
	monitor_print_stats(monitor->text, &monitor->stats_last, progress, (double)(now_ns - monitor->stats_last_ns) / NS_PER_S);
	monitor->stats_last = *progress;
	monitor->stats_last_ns = now_ns;
	/* Due times keep their raster; after a long stop (SIGSTOP) the missed ones are not made up for. */
	monitor->stats_due_ns += monitor->stats_interval_ns;
	if (monitor->stats_due_ns <= now_ns)
		monitor->stats_due_ns = now_ns + monitor->stats_interval_ns;
}

static unsigned pause_ms(const struct monitor *monitor, uint64_t now_ns)
{
	uint64_t pause_ns = (monitor->ctl ? CTL_PAUSE_MS : monitor->metrics ? METRICS_PAUSE_MS : IDLE_PAUSE_MS) * NS_PER_MS;
	uint64_t dues[2] = { monitor->stats ? monitor->stats_due_ns : UINT64_MAX, monitor->bar ? monitor->bar_due_ns : UINT64_MAX };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t left_ns = dues[i] > now_ns ? dues[i] - now_ns : 0;
		if (left_ns < pause_ns)
			pause_ns = left_ns;
	}
	return (unsigned)((pause_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static unsigned terminal_columns(void)
{
	struct winsize window;

	/* One column is left free: writing into the last one makes some terminals wrap. */
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1)
		return window.ws_col - 1U;
	return 79;
}

void monitor_run(struct lanes *lanes, const struct config *config, struct metrics *metrics, struct ctl *ctl, FILE *text)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct monitor monitor = { .text = text,
		.stats = config->stats,
		.bar = config->progress,
		.metrics = metrics,
		.ctl = ctl,
		.columns = terminal_columns() };
	struct lanes_progress progress;

	monitor.start_ns = monitor.stats_last_ns = now_ns;
	monitor.stats_interval_ns = config->stats_interval_ms * NS_PER_MS;
	monitor.stats_due_ns = now_ns + monitor.stats_interval_ns;
	monitor.bar_due_ns = now_ns + BAR_INTERVAL_NS;
	while (!lanes_wait(lanes, pause_ms(&monitor, now_ns))) {
		metrics_serve(metrics, lanes);
		ctl_serve(ctl, lanes);
		now_ns = clock_monotonic_ns();
		bool stats_due = monitor.stats && now_ns >= monitor.stats_due_ns;
		bool bar_due = monitor.bar && now_ns >= monitor.bar_due_ns;
		if (!stats_due && !bar_due)
			continue;
		lanes_progress(lanes, &progress);
		if (stats_due)
			print_stats(&monitor, &progress, now_ns);
		if (bar_due)
			draw_bar(&monitor, &progress, now_ns);
	}
	clear_bar(&monitor);
}
