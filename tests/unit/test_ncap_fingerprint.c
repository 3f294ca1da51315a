/*
 * JA3, JA3S and JA4 against the examples that their authors publish (github.com/salesforce/ja3, README; github.com/FoxIO-LLC/ja4,
 * technical_details/JA4.md): of lists, and of a whole hello on the wire.
 */
#include "fingerprint.h"
#include "ncap_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LIST(array)  ((struct fingerprint_list){ COUNT(array), array })

/* ---- JA3 ----------------------------------------------------------------------------------------------------------- */

static void ja3__published_examples(void **state)
{
	static const int32_t ciphers[] = { 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4 }, extensions[] = { 0, 10, 11 };
	static const int32_t groups[] = { 23, 24, 25 }, points[] = { 0 },
			     old_ciphers[] = { 4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99 };
	struct fingerprint_hello hello = { .version = 769,
		.ciphers = LIST(ciphers),
		.extensions = LIST(extensions),
		.groups = LIST(groups),
		.points = LIST(points) };
	struct fingerprint_hello old = { .version = 769, .ciphers = LIST(old_ciphers) };
	char text[JA3_BYTES + 1];

	(void)state;
	fingerprint_ja3(&hello, text);
	assert_string_equal(text, "ada70206e40642a3e4461f35503241d5");
	fingerprint_ja3(&old, text); /* without extensions the fields stay empty */
	assert_string_equal(text, "de350869b8c85de67a350c8d186f11e6");
}

static void ja3__grease__does_not_count(void **state)
{
	static const int32_t ciphers[] = { 0x0a0a, 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4, 0xfafa },
			     extensions[] = { 0x1a1a, 0, 10, 11, 0xeaea }, groups[] = { 0x2a2a, 23, 24, 25 }, points[] = { 0 };
	struct fingerprint_hello hello = { .version = 769,
		.ciphers = LIST(ciphers),
		.extensions = LIST(extensions),
		.groups = LIST(groups),
		.points = LIST(points) };
	char text[JA3_BYTES + 1];

	(void)state;
	fingerprint_ja3(&hello, text);
	assert_string_equal(text, "ada70206e40642a3e4461f35503241d5");
}

static void ja3s__published_example(void **state)
{
	static const int32_t extensions[] = { 65281, 0, 11, 35, 5, 16 };
	struct fingerprint_list list = LIST(extensions);
	char text[JA3_BYTES + 1];

	(void)state;
	fingerprint_ja3s(769, 47, &list, text);
	assert_string_equal(text, "836ce314215654b5b1f85f97c73e506f");
}

/* ---- JA4 ----------------------------------------------------------------------------------------------------------- */

static const int32_t example_ciphers[] = { 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
	0x009c, 0x009d, 0x002f, 0x0035 };
static const int32_t example_extensions[] = { 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
	0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015 };
static const int32_t example_signatures[] = { 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601 };

static struct fingerprint_hello example(void)
{
	return (struct fingerprint_hello){ .version = 0x0303,
		.version_offered = 0x0304,
		.ciphers = LIST(example_ciphers),
		.extensions = LIST(example_extensions),
		.signatures = LIST(example_signatures),
		.server_name = true,
		.alpn = (const uint8_t *)"h2",
		.alpn_bytes = 2 };
}

static void ja4__published_examples(void **state)
{
	struct fingerprint_hello hello = example();
	char text[JA4_BYTES + 1];

	(void)state;
	fingerprint_ja4(&hello, text);
	assert_string_equal(text, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	hello.signatures.n = 0; /* then the string ends without an underscore */
	fingerprint_ja4(&hello, text);
	assert_string_equal(text, "t13d1516h2_8daaf6152771_6d807ffa2a79");
	hello.ciphers.n = hello.extensions.n = 0;
	hello.server_name = false;
	hello.alpn_bytes = 0;
	fingerprint_ja4(&hello, text);
	assert_string_equal(text, "t13i000000_000000000000_000000000000");
}

static void ja4__alpn__first_and_last(void **state)
{
	static const struct {
		const char *alpn;
		size_t bytes;
		const char *text;
	} cases[] = {
		{ "h2", 2, "h2" },
		{ "http/1.1", 8, "h1" },
		{ "a", 1, "aa" },
		{ "", 0, "00" },
		{ "\xab", 1, "ab" },
		{ "\x20", 1, "20" },
		{ "\xab\xcd", 2, "ad" },
		{ "\x20\x61", 2, "21" },
		{ "\x30\xab", 2, "3b" },
		{ "\x61\x20", 2, "60" },
		{ "\x30\x31\xab\xcd", 4, "3d" },
		{ "\x30\xab\xcd\x31", 4, "01" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct fingerprint_hello hello = example();
		char text[JA4_BYTES + 1], expected[JA4_BYTES + 1] = "t13d1516??_8daaf6152771_e5627efa2ab1";
		memcpy(expected + 8, cases[i].text, 2);
		hello.alpn = (const uint8_t *)cases[i].alpn;
		hello.alpn_bytes = cases[i].bytes;
		fingerprint_ja4(&hello, text);
		assert_string_equal(text, expected);
	}
}

static void ja4__version(void **state)
{
	static const struct {
		int32_t offered, handshake;
		const char *text;
	} cases[] = { { 0x0304, 0x0303, "13" }, { 0, 0x0303, "12" }, { 0, 0x0302, "11" }, { 0, 0x0301, "10" }, { 0, 0x0300, "s3" },
		{ 0, 0x0002, "s2" }, { 0x7f1c, 0x0303, "00" } };

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct fingerprint_hello hello = example();
		char text[JA4_BYTES + 1];
		hello.version_offered = cases[i].offered;
		hello.version = cases[i].handshake;
		fingerprint_ja4(&hello, text);
		assert_memory_equal(text + 1, cases[i].text, 2);
	}
}

/* More than 99 of each are written as 99; a list that a hostile client made long is bounded work. */
static void ja4__long_lists__are_counted_as_99(void **state)
{
	struct fingerprint_hello hello = example();
	int32_t *numbers = malloc(32767 * sizeof(*numbers));
	char text[JA4_BYTES + 1];

	(void)state;
	assert_non_null(numbers);
	for (int i = 0; i < 32767; i++)
		numbers[i] = 32767 - i;
	hello.ciphers = hello.extensions = (struct fingerprint_list){ 32767, numbers };
	fingerprint_ja4(&hello, text);
	assert_memory_equal(text, "t13d9999h2_", 11);
	free(numbers);
}

/* ---- on the wire ----------------------------------------------------------------------------------------------------- */

static uint8_t *put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *put_list(uint8_t *at, const int32_t *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at = put16(at, (uint32_t)values[i]);
	return at;
}

/* What an extension of the example holds, with a GREASE value at the front of each list. */
static uint8_t *put_extension(uint8_t *at, int32_t type)
{
	uint8_t *body = put16(at, (uint32_t)type) + 2, *end = body;

	switch (type) {
	case 0x0000:
		end = put16(end, 3 + 11);
		*end++ = 0;
		end = put16(end, 11);
		memcpy(end, "example.com", 11);
		end += 11;
		break;
	case 0x000a:
		end = put16(put16(put16(end, 4), 0x1a1a), 29);
		break;
	case 0x000d:
		end = put16(put16(end, 2 + 2 * COUNT(example_signatures)), 0x3a3a);
		end = put_list(end, example_signatures, COUNT(example_signatures));
		break;
	case 0x0010:
		end = put16(end, 12);
		memcpy(end, "\2h2\10http/1.1", 12);
		end += 12;
		break;
	case 0x002b:
		*end++ = 6;
		end = put16(put16(put16(end, 0xfafa), 0x0303), 0x0304);
		break;
	default:
		break;
	}
	put16(at + 2, (uint32_t)(end - body));
	return end;
}

/* Ethernet, IPv4, TCP, and the record with the example's hello. Returns its length. */
static size_t hello_frame(uint8_t *frame)
{
	uint8_t *record = frame + 14 + 20 + 20, *hello = record + 9, *at = hello;

	memset(frame, 0, 54);
	at = put16(at, 0x0303);
	memset(at, 0x55, 32);
	at += 32;
	*at++ = 0; /* session */
	at = put16(put16(at, 2 + 2 * COUNT(example_ciphers)), 0x0a0a);
	at = put_list(at, example_ciphers, COUNT(example_ciphers));
	*at++ = 1; /* compression: none */
	*at++ = 0;
	uint8_t *extensions = at + 2;
	at = put_extension(extensions, 0x2a2a);
	for (unsigned i = 0; i < COUNT(example_extensions); i++)
		at = put_extension(at, example_extensions[i]);
	put16(extensions - 2, (uint32_t)(at - extensions));
	memcpy(record, "\x16\x03\x01", 3);
	put16(record + 3, (uint32_t)(at - hello + 4));
	put16(record + 5, 0x0100);
	put16(record + 7, (uint32_t)(at - hello));
	put16(frame + 12, 0x0800);
	frame[14] = 0x45;
	put16(frame + 16, (uint32_t)(at - frame - 14));
	frame[14 + 9] = 6;
	put16(frame + 34, 50000);
	put16(frame + 36, 443);
	frame[34 + 12] = 0x50;
	return (size_t)(at - frame);
}

static void hello__example_with_grease_everywhere__published_ja4(void **state)
{
	struct record_options options = { 0 };
	struct ncap_rig rig;
	uint8_t frame[1024];

	(void)state;
	rig_open(&rig, &options);
	rig_frame(&rig, LINK_ETHERNET, 1, frame, hello_frame(frame));
	size_t n = rig_record(&rig, NCAP_TLS_CLIENT_HELLO, 0);
	Types__TLSClientHello *hello = types__tlsclient_hello__unpack(NULL, n, rig.out);
	assert_non_null(hello);
	assert_string_equal(hello->sni, "example.com");
	assert_string_equal(hello->ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	assert_int_equal(hello->n_ciphersuites, 1 + COUNT(example_ciphers));
	assert_int_equal(hello->n_extensions, 1 + COUNT(example_extensions));
	assert_int_equal(hello->n_alpns, 2);
	types__tlsclient_hello__free_unpacked(hello, NULL);
	rig_close(&rig);
}

/* As after a HelloRetryRequest. Not behind application data, whose length leads anywhere. */
static void hello__behind_another_record__is_found(void **state)
{
	static const struct {
		const char *record;
		bool found;
	} cases[] = { { "\x14\x03\x03\x00\x01\x01", true }, { "\x15\x03\x03\x00\x01\x01", true },
		{ "\x17\x03\x03\x00\x01\x01", false }, { "\x14\x03\x03\x00\x02\x01", false }, { "\x14\x03\x03\xff\xff\x01", false },
		{ "\x14\x02\x03\x00\x01\x01", false } };
	struct record_options options = { 0 };
	struct ncap_rig rig;
	uint8_t frame[1024];

	(void)state;
	rig_open(&rig, &options);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		size_t n = hello_frame(frame);
		memmove(frame + 60, frame + 54, n - 54);
		memcpy(frame + 54, cases[i].record, 6);
		put16(frame + 16, (uint32_t)(n + 6 - 14));
		rig_frame(&rig, LINK_ETHERNET, 1, frame, n + 6);
		assert_int_equal(rig_record(&rig, NCAP_TLS_CLIENT_HELLO, 0) > 0, cases[i].found);
	}
	rig_close(&rig);
}

/* Whatever is missing at its end: a record or none, but no fingerprint of a part of the lists. */
static void hello__cut_anywhere__no_fingerprint(void **state)
{
	struct record_options options = { 0 };
	struct ncap_rig rig;
	uint8_t frame[1024];
	size_t whole = hello_frame(frame);

	(void)state;
	rig_open(&rig, &options);
	for (size_t bytes = 54; bytes < whole; bytes++) {
		rig_frame(&rig, LINK_ETHERNET, 1, frame, bytes);
		size_t n = rig_record(&rig, NCAP_TLS_CLIENT_HELLO, 0);
		if (!n)
			continue;
		Types__TLSClientHello *hello = types__tlsclient_hello__unpack(NULL, n, rig.out);
		assert_non_null(hello);
		assert_string_equal(hello->ja3, "");
		assert_string_equal(hello->ja4, "");
		types__tlsclient_hello__free_unpacked(hello, NULL);
	}
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ja3__published_examples),
		cmocka_unit_test(ja3__grease__does_not_count),
		cmocka_unit_test(ja3s__published_example),
		cmocka_unit_test(ja4__published_examples),
		cmocka_unit_test(ja4__alpn__first_and_last),
		cmocka_unit_test(ja4__version),
		cmocka_unit_test(ja4__long_lists__are_counted_as_99),
		cmocka_unit_test(hello__example_with_grease_everywhere__published_ja4),
		cmocka_unit_test(hello__behind_another_record__is_found),
		cmocka_unit_test(hello__cut_anywhere__no_fingerprint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
