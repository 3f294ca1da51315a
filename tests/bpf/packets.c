#include "packets.h"

#include <ftw.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SKIPPED        77
#define PACKETS_MAX    (1 << 20)
#define FILES_MAX      4096
#define SHORTEST       14    /* BPF_PROG_TEST_RUN takes no shorter frames */
#define LONGEST        60000 /* and hardly longer ones */
#define CORPUS_SNAPLEN 262144

struct packet_bytes *packets;
unsigned packets_count, packets_files, packets_short, packets_every = 1;

static char *names[FILES_MAX];
static unsigned seen;

static void add_packet(const uint8_t *data, uint32_t bytes)
{
	if (bytes < SHORTEST)
		packets_short++;
	if (bytes < SHORTEST || bytes > LONGEST || packets_count == PACKETS_MAX || seen++ % packets_every)
		return;
	uint8_t *copy = malloc(bytes); /* of exactly that size */
	if (!copy)
		abort();
	memcpy(copy, data, bytes);
	packets[packets_count++] = (struct packet_bytes){ copy, bytes, packets_files };
}

static int add_file(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	char message[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;

	(void)status;
	(void)ftw;
	pcap_t *pcap = type == FTW_F && packets_files < FILES_MAX ? pcap_open_offline(path, message) : NULL;
	if (!pcap)
		return 0;
	if (pcap_datalink(pcap) == DLT_EN10MB) {
		while (pcap_next_ex(pcap, &header, &data) == 1)
			add_packet(data, header->caplen);
		names[packets_files++] = strdup(path);
	}
	pcap_close(pcap);
	return 0;
}

void packets_load(void)
{
	const char *folder = getenv("FLOWLANE_CORPUS"), *every = getenv("FLOWLANE_CORPUS_EVERY");
	struct stat status;

	if (!folder || !*folder)
		folder = FLOWLANE_CORPUS_DEFAULT;
	if (every && atoi(every) > 0)
		packets_every = (unsigned)atoi(every);
	if (stat(folder, &status)) {
		printf("SKIPPED: no captures at %s; FLOWLANE_CORPUS can name another folder\n", folder);
		exit(SKIPPED);
	}
	packets = calloc(PACKETS_MAX, sizeof(*packets));
	if (!packets || nftw(folder, add_file, 16, FTW_PHYS))
		abort();
	if (!packets_count) {
		printf("SKIPPED: no Ethernet captures below %s\n", folder);
		exit(SKIPPED);
	}
}

void packets_unload(void)
{
	for (unsigned i = 0; i < packets_count; i++)
		free((void *)(uintptr_t)packets[i].data);
	for (unsigned i = 0; i < packets_files; i++)
		free(names[i]);
	free(packets);
}

const char *packets_name(uint32_t file)
{
	return names[file] ? names[file] : "";
}

void packets_compile(const char *expression, struct packets_filter *filter)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, CORPUS_SNAPLEN);
	struct bpf_program *program = calloc(1, sizeof(*program));

	if (!pcap || !program)
		abort();
	if (pcap_compile(pcap, program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		fprintf(stderr, "'%s': %s\n", expression, pcap_geterr(pcap));
		abort();
	}
	pcap_close(pcap);
	*filter = (struct packets_filter){ (const struct classic_insn *)program->bf_insns, program->bf_len, program };
}

void packets_compile_free(struct packets_filter *filter)
{
	pcap_freecode(filter->program);
	free(filter->program);
}

bool packets_match(const struct packets_filter *filter, const struct packet_bytes *packet)
{
	struct pcap_pkthdr header = { .caplen = packet->bytes, .len = packet->bytes };

	return pcap_offline_filter(filter->program, &header, packet->data) != 0;
}
