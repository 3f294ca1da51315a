/*
 * libFuzzer target: any bytes as a file of rules. What must hold: no sanitizer report, and an end; a refused file has one sentence that
 * begins with its path and no set; a taken one decides on any packet, and the same when it is read again.
 *
 *   input: what(1): bit 0 words, not bytes; then the file, or the numbers of words that it is made of; the last 40 bytes are a packet
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_log.h"
#include "parse.bpf.h"
#include "rules.h"

#define TEXT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A line is a key, or a new rule; what it takes follows. */
static const char *const words[] = { "rules:\n", "  - action: allow\n", "  - action: deny\n", "    net: ", "    src_net: ",
	"    dst_net: ", "    proto: ", "    port: ", "    src_port: ", "    dst_port: ", "    vlan: ", "default: ", "allow\n",
	"deny\n", "[", "]\n", ", ", "10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "192.0.2.1", "'2001:db8::/32'", "'::/0'", "'::1'",
	"tcp", "udp", "1", "22", "53", "8000-8999", "0-65535", "65535", "none", "100-199", "4095", "\n", "#", "&a ", "*a", "'",
	"{action: deny, ", "}\n", "- " };
#define WORDS (sizeof(words) / sizeof(words[0]))

static size_t words_print(const uint8_t *data, size_t size, char *text)
{
	size_t at = 0;

	for (; size && at + 64 < TEXT_MAX; data++, size--) {
		const char *word = words[*data % WORDS];
		memcpy(text + at, word, strlen(word));
		at += strlen(word);
	}
	return at;
}

static struct rules_set *load(const char *path)
{
	struct rules_set *set = NULL;
	char error[1024];

	if (rules_load(path, &set, error, sizeof(error))) {
		require(!set && !strncmp(error, path, strlen(path)) && strlen(error) > strlen(path) + 2);
		return NULL;
	}
	require(set != NULL);
	return set;
}

/* An IPv4 packet has nothing in the first words; ports there are, or not. */
static struct parse packet_of(const uint8_t data[40])
{
	struct parse parse = { .vlan = PARSE_VLAN_NONE };

	memcpy(parse.src, data, 16);
	memcpy(parse.dst, data + 16, 16);
	memcpy(&parse.src_port, data + 32, 2);
	memcpy(&parse.dst_port, data + 34, 2);
	parse.proto = data[36];
	parse.flags = data[37] & (PARSE_IP | PARSE_PORTS);
	parse.ip_version = data[38] & 1 ? 4 : 6;
	if (data[38] & 2)
		parse.vlan = (uint16_t)(data[39] << 4) & 0xfff;
	if (parse.ip_version == 4) {
		memset(parse.src, 0, 12);
		memset(parse.dst, 0, 12);
	}
	return parse;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[TEXT_MAX];
	char path[64];

	if (size < 41)
		return 0;
	struct parse parse = packet_of(data + size - 40);
	const void *file = data + 1;
	size_t bytes = size - 41;
	if (data[0] & 1) {
		bytes = words_print(data + 1, bytes, text);
		file = text;
	}
	int fd = memfd_create("rules", MFD_CLOEXEC);
	require(fd >= 0 && write(fd, file, bytes) == (ssize_t)bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct rules_set *set = load(path), *again = load(path);
	require(!set == !again);
	if (set)
		require(rules_deny(set, &parse) == rules_deny(again, &parse));
	rules_free(set);
	rules_free(again);
	close(fd);
	return 0;
}
