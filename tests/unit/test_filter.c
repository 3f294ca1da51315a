/* The tcpdump expression: which frames it lets pass on which link types, and what a wrong one says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "filter.h"
#include "packet_builder.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* The link header, then TCP from 10.0.0.1:40000 to 10.0.0.2:443 with 10 bytes. */
static struct packet_builder packet_on(uint16_t link)
{
	struct packet_builder b = pb_new();

	switch (link) {
	case LINK_ETHERNET:
		pb_ethernet(&b, 0x0800);
		break;
	case LINK_NULL:
		pb_bytes(&b, "\x02\0\0\0", 4); /* AF_INET as a little-endian machine wrote it */
		break;
	case LINK_LOOP:
		pb_be32(&b, 2);
		break;
	case LINK_LINUX_SLL:
		pb_bytes(&b, "\0\0\0\1\0\6\2\0\0\0\0\1\0\0\x08\0", 16);
		break;
	case LINK_LINUX_SLL2:
		pb_bytes(&b, "\x08\0\0\0\0\0\0\2\0\1\0\6\2\0\0\0\0\1\0\0", 20);
		break;
	default:
		break;
	}
	if (link == LINK_IPV6)
		pb_ipv6(&b, "2001:db8::1", "2001:db8::2", 6);
	else
		pb_ipv4(&b, "10.0.0.1", "10.0.0.2", 6);
	pb_tcp(&b, 40000, 443, 1, 1, TCP_ACK);
	pb_fill(&b, 10);
	pb_finish(&b);
	return b;
}

static struct filter *filter_of(const char *expression, int link)
{
	struct source_info info = { .link = link, .snaplen = 65535 };
	struct filter *filter = NULL;

	assert_int_equal(filter_create(expression, &info, &filter), 0);
	assert_non_null(filter);
	return filter;
}

static void match__on_every_link_type__then_as_the_expression_says(void **context)
{
	(void)context;
	static const uint16_t links[] = { LINK_ETHERNET, LINK_RAW, LINK_IPV4, LINK_NULL, LINK_LOOP, LINK_LINUX_SLL,
		LINK_LINUX_SLL2 };
	static const struct {
		const char *expression;
		bool match;
	} rows[] = {
		{ "", true },
		{ "ip", true },
		{ "tcp", true },
		{ "udp", false },
		{ "tcp port 443", true },
		{ "tcp dst port 443", true },
		{ "tcp src port 443", false },
		{ "port 80 or port 443", true },
		{ "host 10.0.0.1", true },
		{ "src host 10.0.0.2", false },
		{ "net 10.0.0.0/8 and not port 22", true },
		{ "tcp[tcpflags] & tcp-ack != 0", true },
		{ "tcp[tcpflags] & tcp-syn != 0", false },
		{ "less 100", true },
		{ "greater 200", false },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct filter *any = filter_of(rows[i].expression, -1);
		for (unsigned k = 0; k < ROWS(links); k++) {
			struct packet_builder b = packet_on(links[k]);
			struct frame frame = pb_frame(&b, links[k]);
			struct filter *one = filter_of(rows[i].expression, links[k]);
			if (filter_match(one, &frame) != rows[i].match || filter_match(any, &frame) != rows[i].match)
				fail_msg("'%s' on link type %u", rows[i].expression, links[k]);
			filter_destroy(one);
			pb_frame_free(&frame);
		}
		filter_destroy(any);
	}
}

static void match__on_ipv6__then_as_the_expression_says(void **context)
{
	(void)context;
	struct packet_builder b = packet_on(LINK_IPV6);
	struct frame frame = pb_frame(&b, LINK_IPV6);
	struct filter *yes = filter_of("ip6 and tcp port 443 and host 2001:db8::2", LINK_IPV6), *no = filter_of("udp", -1);

	assert_true(filter_match(yes, &frame));
	assert_false(filter_match(no, &frame));
	filter_destroy(yes);
	filter_destroy(no);
	pb_frame_free(&frame);
}

/* "ether host" has no meaning on raw IP: such frames do not match, Ethernet frames do. */
static void match__when_senseless_for_a_link_type__then_not(void **context)
{
	(void)context;
	struct filter *filter = filter_of("ether host 02:00:00:00:00:01", -1);
	struct packet_builder on_ethernet = packet_on(LINK_ETHERNET), on_raw = packet_on(LINK_RAW);
	struct frame ethernet = pb_frame(&on_ethernet, LINK_ETHERNET), raw = pb_frame(&on_raw, LINK_RAW);

	assert_true(filter_match(filter, &ethernet));
	assert_false(filter_match(filter, &raw));
	filter_destroy(filter);
	pb_frame_free(&ethernet);
	pb_frame_free(&raw);
}

static void match__when_of_a_link_type_that_was_not_announced__then_not(void **context)
{
	(void)context;
	struct filter *filter = filter_of("ip", LINK_ETHERNET);
	struct packet_builder on_ethernet = packet_on(LINK_ETHERNET), on_raw = packet_on(LINK_RAW);
	struct frame ethernet = pb_frame(&on_ethernet, LINK_ETHERNET), raw = pb_frame(&on_raw, LINK_RAW);
	struct frame strange = ethernet;

	strange.link = 147;
	assert_true(filter_match(filter, &ethernet));
	assert_false(filter_match(filter, &raw));
	assert_false(filter_match(filter, &strange));
	filter_destroy(filter);
	pb_frame_free(&ethernet);
	pb_frame_free(&raw);
}

/* What the expression asks for may lie behind the captured bytes: no match, and with a sanitizer: no read beyond them. Lengths are
 * those of the wire. */
static void match__when_the_frame_is_cut__then_nothing_behind_is_read(void **context)
{
	(void)context;
	struct filter *port = filter_of("tcp port 443", LINK_ETHERNET), *less = filter_of("less 63", LINK_ETHERNET);
	struct packet_builder b = packet_on(LINK_ETHERNET);

	assert_int_equal(b.len, 64);
	for (uint32_t n = 0; n <= b.len; n++) {
		struct frame frame = pb_frame_cut(&b, LINK_ETHERNET, n);
		assert_int_equal(filter_match(port, &frame), n >= 14 + 20 + 4);
		assert_false(filter_match(less, &frame));
		pb_frame_free(&frame);
	}
	filter_destroy(port);
	filter_destroy(less);
}

/* What is said on standard error while the filter is made. */
static int create_and_hear(const char *expression, int link, char *said, size_t size)
{
	struct source_info info = { .link = link, .snaplen = 65535 };
	struct filter *filter = NULL;
	FILE *heard = tmpfile();
	int keep = dup(STDERR_FILENO);

	assert_non_null(heard);
	fflush(stderr);
	dup2(fileno(heard), STDERR_FILENO);
	int err = filter_create(expression, &info, &filter);
	fflush(stderr);
	dup2(keep, STDERR_FILENO);
	close(keep);
	rewind(heard);
	said[fread(said, 1, size - 1, heard)] = '\0';
	fclose(heard);
	if (err)
		assert_null(filter);
	filter_destroy(filter);
	return err;
}

static void create__when_wrong__then_an_error_and_a_sentence(void **context)
{
	(void)context;
	static const struct {
		const char *name, *expression;
		int link;
	} rows[] = {
		{ "no such word", "tcp prt 80", LINK_ETHERNET },
		{ "ends early", "tcp and", LINK_ETHERNET },
		{ "bracket", "(tcp or udp", LINK_ETHERNET },
		{ "port too big", "port 70000", LINK_ETHERNET },
		{ "of any link type", "tcp and", -1 },
		{ "senseless for the only link type", "ether host 02:00:00:00:00:01", LINK_RAW },
		{ "can never match", "ip6", LINK_IPV4 },
		{ "link type that is not read", "tcp", 147 },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		char said[1024];
		int err = create_and_hear(rows[i].expression, rows[i].link, said, sizeof(said));
		char *line = strchr(said, '\n');
		/* One line, with the expression in it. */
		if (err != -EINVAL || !strstr(said, rows[i].expression) || !line || line[1] != '\0')
			fail_msg("%s: %d, '%s'", rows[i].name, err, said);
	}
}

static void create__when_right__then_silent(void **context)
{
	(void)context;
	char said[1024];

	assert_int_equal(create_and_hear("tcp", LINK_ETHERNET, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	assert_int_equal(create_and_hear("ether host 02:00:00:00:00:01", -1, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	filter_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(match__on_every_link_type__then_as_the_expression_says),
		cmocka_unit_test(match__on_ipv6__then_as_the_expression_says),
		cmocka_unit_test(match__when_senseless_for_a_link_type__then_not),
		cmocka_unit_test(match__when_of_a_link_type_that_was_not_announced__then_not),
		cmocka_unit_test(match__when_the_frame_is_cut__then_nothing_behind_is_read),
		cmocka_unit_test(create__when_wrong__then_an_error_and_a_sentence),
		cmocka_unit_test(create__when_right__then_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
